"""Which label of a project a model's class belongs to."""

import re
from collections.abc import Mapping, Sequence

from ml_backend.labelstudio.label_config import Label


def match_labels(
    classes: Sequence[str], labels: Sequence[Label], synonyms: Mapping[str, Sequence[str]]
) -> dict[int, str]:
    """Find the label of each class: by ``predicted_values``, by its own name, then by synonyms.

    Args:
        classes: Class names of a model; index 0, the background, has no label.
        labels: Labels of the project's mask controls. Names are compared without regard to case
            and to whether hyphen, underscore, slash or space joins their words.
        synonyms: Class name in lower case, its words joined by spaces → names of labels that mean
            the same or contain it, nearest first.

    Returns:
        Class index → label value; classes without a label are absent.
    """
    claimed = {_key(name): label.value for label in labels for name in label.predicted_values}
    named = {_key(label.value): label.value for label in labels}
    found = {}
    for index, name in enumerate(classes[1:], start=1):
        key = _key(name)
        candidates = [
            claimed.get(key),
            *(named.get(each) for each in (key, *synonyms.get(key, ()))),
        ]
        if label := next(filter(None, candidates), None):
            found[index] = label
    return found


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()
