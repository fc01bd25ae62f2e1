"""``model_score_threshold``: minimum score of a shown region, by label and control."""

from collections.abc import Iterable, Mapping
from typing import Final

from ml_backend.labelstudio.controls import Control, Label, Problem

ATTRIBUTE: Final = "model_score_threshold"


def score_threshold(control: Control, label: Label, default: float) -> float:
    """Return the label's own threshold, else its control's, else the default; 0..1."""
    for tag in (label, control):
        if ATTRIBUTE in tag.attributes:
            return float(tag.attributes[ATTRIBUTE])
    return default


def threshold_problems(controls: Iterable[Control]) -> list[Problem]:
    """Return a problem for each threshold that is not a number from 0 to 1."""
    tags = ((c, *tag) for c in controls for tag in _tags(c))
    return [
        Problem(
            control.name,
            f"{ATTRIBUTE}={written!r:.40} of {name!r:.40} is not a number from 0 to 1",
            f'write e.g. {ATTRIBUTE}="0.4"',
        )
        for control, name, attributes in tags
        if (written := attributes.get(ATTRIBUTE)) is not None and not _is_score(written)
    ]


def _tags(control: Control) -> list[tuple[str, Mapping[str, str]]]:
    """Return name and attributes of a control and of its labels."""
    own = (control.name, control.attributes)
    return [own, *((label.value, label.attributes) for label in control.labels)]


def _is_score(written: str) -> bool:
    try:
        return 0 <= float(written) <= 1
    except ValueError:
        return False
