"""Questions about a whole image: which choices a text-prompted model sees in it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from ml_backend.labelstudio.controls import Control
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.phrases import prompt_of
from ml_backend.labelstudio.schemas import ChosenAnswer
from ml_backend.labelstudio.task_images import TaskImage

PRESENT: Final = 0.5
"""Minimum confidence of a predicted choice."""


def prompted_choices(label_config: LabelConfig, image: str) -> list[Control]:
    """Return the ``Choices`` on an image with a ``prompt`` on at least one choice."""
    return [
        control
        for control in label_config.controls
        if (control.type, control.to_name) == ("choices", image)
        and not _is_true(control, "perregion")
        and any(map(prompt_of, control.labels))
    ]


def questioned_images(label_config: LabelConfig) -> list[str]:
    """Return the names of the images with such ``Choices``, in document order."""
    return [name for name in label_config.images if prompted_choices(label_config, name)]


def asked_phrases(controls: Sequence[Control]) -> tuple[str, ...]:
    """Return the phrases of all choices, each once."""
    phrases = (p for control in controls for choice in control.labels for p in prompt_of(choice))
    return tuple(dict.fromkeys(phrases))


def chosen(
    controls: Sequence[Control],
    presence: Mapping[str, float],
    image: TaskImage,
) -> list[ChosenAnswer]:
    """Return the answers to the questions on an image; none where no choice is seen.

    Args:
        controls: Controls from ``prompted_choices``.
        presence: Phrase → confidence, 0..1, that the image shows such a thing.
        image: Image of the task; of one of several pages, only ``perItem`` is answered.
    """
    answers = []
    for control in controls:
        if image.item is not None and not _is_true(control, "peritem"):
            continue
        if seen := _seen(control, presence):
            answers.append(
                ChosenAnswer(
                    id=uuid.uuid4().hex[:10],
                    from_name=control.name,
                    to_name=control.to_name,
                    value={"choices": list(seen)},
                    item_index=image.item,
                    score=max(seen.values()),
                )
            )
    return answers


def _seen(control: Control, presence: Mapping[str, float]) -> dict[str, float]:
    """Return the present choices, in order; only the best of a single-choice control."""
    scores = {
        choice.value: max((presence[phrase] for phrase in prompt_of(choice)), default=0.0)
        for choice in control.labels
    }
    seen = {value: score for value, score in scores.items() if score >= PRESENT}
    if control.multiple or not seen:
        return seen
    best = max(seen, key=lambda value: seen[value])
    return {best: seen[best]}


def _is_true(control: Control, attribute: str) -> bool:
    return control.attributes.get(attribute, "").lower() == "true"
