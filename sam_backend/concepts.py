"""Typed prompts and exemplars: what they ask for, and all matching things."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_backend.deadline import Deadline
from ml_backend.errors import PromptError
from ml_backend.images import EncodedImage
from ml_backend.instances import Instance
from ml_backend.labelstudio.label_config import Control, LabelConfig
from ml_backend.labelstudio.phrases import phrases_in, phrases_of
from ml_backend.labelstudio.prompts import Context
from ml_backend.serving.executor import PriorityExecutor
from sam_backend.embedding_service import EmbeddingKey, EmbeddingService, EmbeddingStore
from sam_backend.models.base import ConceptModel, Wanted
from sam_backend.region_target import Target, find_target

MOST_PHRASES = 20
"""Maximum phrases of one typed prompt."""


@dataclass(frozen=True)
class Concept:
    """Things to find, and the label and control of their masks."""

    wanted: Wanted
    target: Target


def concepts_in(context: Context, label_config: LabelConfig) -> list[Concept]:
    """Return what a typed prompt or boxes of an exemplar control ask for; empty for all else.

    A phrase gets the label that it names, in the plural or with words before it; if its control
    has one label, that one; else none: the region gets the label chosen when it is accepted.

    Raises:
        PromptError: No control takes the masks, or the text names nothing.
    """
    if context.boxes and label_config.is_exemplar(context.tool):
        target = find_target(context, label_config)
        return [Concept(Wanted(boxes=context.boxes), target)]
    if not context.text:
        return []
    phrases = phrases_in(context.text)[:MOST_PHRASES]
    controls = label_config.suggestion_controls(context.to_name or None)
    if not (phrases and controls):
        problem = "the text names nothing" if controls else "no control takes a mask on this image"
        raise PromptError(problem, 'type what to find, e.g. "shoes; bag"')
    return [Concept(Wanted(phrase), _target(phrase, controls)) for phrase in phrases]


def missing_phrases(concepts: Sequence[Concept], found: Sequence[Instance]) -> list[str]:
    """Return the typed phrases that no instance was found for."""
    seen = {each.class_index for each in found}
    wanted = (each.wanted for number, each in enumerate(concepts, start=1) if number not in seen)
    return [each.phrase for each in wanted if each.phrase]


def _target(phrase: str, controls: Sequence[Control]) -> Target:
    targets = [Target(control, label.value) for control in controls for label in control.labels]
    names = [
        (name, target)
        for target, label in zip(targets, (la for c in controls for la in c.labels), strict=True)
        for name in (label.value, *phrases_of(label))
    ]
    asked = phrase.casefold()
    for is_named in (_is_same, _ends_with):
        for name, target in names:
            if is_named(asked, name.casefold()):
                return target
    return targets[0] if len(targets) == 1 else Target(controls[0], None)


def _is_same(asked: str, name: str) -> bool:
    """Return whether two phrases are equal except for the plural."""
    shorter, longer = sorted((asked, name), key=len)
    return longer in (shorter, f"{shorter}s", f"{shorter}es")


def _ends_with(asked: str, name: str) -> bool:
    """Return whether a phrase is a name with words before it: "red shoes" are shoes."""
    words, count = asked.split(), len(name.split())
    return len(words) > count and _is_same(" ".join(words[-count:]), name)


class ConceptFinder:
    """Finds things, using image features from the store. Thread-safe.

    Args:
        model: Model that finds what phrases name.
        store: Store for the model's image features.
    """

    def __init__(self, model: ConceptModel, store: EmbeddingStore) -> None:
        self._model = model
        self._embeddings = EmbeddingService(model, store)
        self._executor = PriorityExecutor("concepts")

    def find(
        self, image: EncodedImage, wanted: Sequence[Wanted], deadline: Deadline
    ) -> list[Instance]:
        """Return non-overlapping instances, the best first.

        Raises:
            ImageError: The image cannot be decoded.
            DeadlineExceededError: The model did not finish in time.
        """
        key = EmbeddingKey(image.identity, self._model.version)
        embedding = self._embeddings.get_or_compute(key, image.decode, deadline)
        return self._executor.run(lambda: self._model.find(embedding, wanted), deadline)
