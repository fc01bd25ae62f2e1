"""Compare the annotations of images with two or more raters, pair by pair."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ml_backend.errors import SegstudioError
from ml_backend.labelstudio.coco_rle import Rle
from ml_backend.labelstudio.label_config import Control
from segstudio.agreement.annotation_store import AnnotationStore, RaterAnnotation
from segstudio.agreement.measures import (
    MISSING,
    Codes,
    boundary_f,
    cohen_kappa,
    krippendorff_alpha,
)
from segstudio.data.scratch_db import ScratchDatabase

Flags = npt.NDArray[np.bool_]


class AgreementError(SegstudioError):
    """There is nothing to compare."""


@dataclass(frozen=True)
class ChoiceAgreement:
    """Agreement on a control, or on whether one of its choices applies.

    Attributes:
        control: Name of the control.
        choice: Choice that is measured; empty: the whole control, where one may be chosen.
        images: Number of images that two or more raters answered.
        kappa: Cohen's kappa, mean over pairs of raters; None if undefined.
        alpha: Krippendorff's alpha; None if undefined.
    """

    control: str
    choice: str
    images: int
    kappa: float | None
    alpha: float | None


@dataclass(frozen=True)
class MaskAgreement:
    """Agreement on the masks of a label.

    Attributes:
        label: Name of the label.
        pairs: Number of pairs of raters, over all images, of whom at least one used the label.
        one_sided: Number of pairs of whom only one did: their IoU and boundary F are 0.
        iou: Mean intersection over union, 0..1.
        boundary_f: Mean boundary F, 0..1.
    """

    label: str
    pairs: int
    one_sided: int
    iou: float
    boundary_f: float


@dataclass(frozen=True)
class Disagreement:
    """Disagreement of raters on one image.

    Attributes:
        identifier: Identifier of the image.
        score: Disagreement 0..1, mean over all pairs, labels (1 - IoU) and controls (1 - Jaccard).
        worst: Label or control with the highest disagreement.
    """

    identifier: str
    score: float
    worst: str


@dataclass
class _LabelSum:
    pairs: int = 0
    one_sided: int = 0
    iou: float = 0
    boundary_f: float = 0


class Comparison(ScratchDatabase):
    """Comparison of all annotations in a store, computed by ``run``.

    Args:
        store: Store with all annotations.

    Attributes:
        mismatched: Images whose masks have different sizes and are not compared.
    """

    schema = "CREATE TABLE scores (identifier TEXT, score REAL, worst TEXT)"

    def __init__(self, store: AnnotationStore) -> None:
        super().__init__()
        self._store = store
        self._labels: dict[str, _LabelSum] = {}
        self.mismatched: list[str] = []

    def run(self, advance: Callable[[], None]) -> None:
        """Compare all images.

        Raises:
            AgreementError: No image has two annotations.
        """
        if not len(self._store):
            raise AgreementError(
                "no image has annotations of two annotators",
                "give the copies of one project; where annotators share one account, --by project",
            )
        for identifier, annotations in self._store.images():
            distances = list(self._distances(identifier, annotations))
            if distances:
                score = sum(distance for _, distance in distances) / len(distances)
                worst, distance = max(distances, key=lambda each: each[1])
                self._database.execute(
                    "INSERT INTO scores VALUES (?, ?, ?)",
                    (identifier, score, worst if distance else ""),
                )
            advance()

    def masks(self) -> list[MaskAgreement]:
        """Return the agreement on each label, the lowest first."""
        found = [
            MaskAgreement(label, s.pairs, s.one_sided, s.iou / s.pairs, s.boundary_f / s.pairs)
            for label, s in self._labels.items()
        ]
        return sorted(found, key=lambda each: (each.iou, each.label))

    def images(self, most: int | None = None) -> Iterator[Disagreement]:
        """Yield images by disagreement, the highest first."""
        found = self._database.execute(
            "SELECT identifier, score, worst FROM scores ORDER BY score DESC, identifier LIMIT ?",
            (-1 if most is None else most,),
        )
        return (Disagreement(*row) for row in found)

    def _distances(
        self, identifier: str, annotations: Sequence[RaterAnnotation]
    ) -> Iterator[tuple[str, float]]:
        for first, second in combinations(annotations, 2):
            for control in sorted(first.answers.keys() & second.answers.keys()):
                yield control, _jaccard_distance(first.answers[control], second.answers[control])
            if first.masks is not None and second.masks is not None:
                yield from self._mask_distances(identifier, first.masks, second.masks)

    def _mask_distances(
        self, identifier: str, first: Mapping[str, Rle], second: Mapping[str, Rle]
    ) -> Iterator[tuple[str, float]]:
        sizes = {(rle.height, rle.width) for rle in (*first.values(), *second.values())}
        if len(sizes) > 1:
            self.mismatched.append(identifier)
            return
        for label in sorted(first.keys() | second.keys()):
            iou, outline = _overlap(first.get(label), second.get(label))
            sums = self._labels.setdefault(label, _LabelSum())
            sums.pairs += 1
            sums.one_sided += label not in first or label not in second
            sums.iou += iou
            sums.boundary_f += outline
            yield label, 1 - iou


def choice_agreement(store: AnnotationStore, control: Control) -> Iterator[ChoiceAgreement]:
    """Yield the agreement on a control with a single choice, then on each choice."""
    given = (value for _, _, values in store.answers(control.name) for value in values)
    choices = list(dict.fromkeys([*(label.value for label in control.labels), *given]))
    chosen, answered = _choice_matrices(store, control.name, choices)
    images = int((answered.sum(axis=0) > 1).sum())
    if not images:
        return
    if not control.multiple:
        codes = np.where(answered, chosen.argmax(axis=0), MISSING)
        yield _agreement(control, "", images, codes)
    for choice, applies in zip(choices, chosen, strict=True):
        codes = np.where(answered, applies.astype(int), MISSING)
        yield _agreement(control, choice, images, codes)


def _agreement(control: Control, choice: str, images: int, codes: Codes) -> ChoiceAgreement:
    kappa, alpha = cohen_kappa(codes), krippendorff_alpha(codes)
    return ChoiceAgreement(control.name, choice, images, kappa, alpha)


def _choice_matrices(
    store: AnnotationStore, control: str, choices: Sequence[str]
) -> tuple[Flags, Flags]:
    """Return (choices, raters, images) bool of chosen values, (raters, images) of answers."""
    raters = {rater: index for index, rater in enumerate(store.raters())}
    places = {choice: index for index, choice in enumerate(choices)}
    shape = len(raters), len(store)
    chosen, answered = np.zeros((len(choices), *shape), bool), np.zeros(shape, bool)
    images: dict[str, int] = {}
    for identifier, rater, values in store.answers(control):
        place = raters[rater], images.setdefault(identifier, len(images))
        answered[place] = True
        for value in values:
            chosen[places[value], *place] = True
    return chosen, answered


def _jaccard_distance(first: Iterable[str], second: Iterable[str]) -> float:
    a, b = set(first), set(second)
    return 1 - len(a & b) / len(a | b) if a | b else 0.0


def _overlap(first: Rle | None, second: Rle | None) -> tuple[float, float]:
    """Return IoU and boundary F of two masks; both are 0 if one is missing."""
    if first is None or second is None:
        return 0.0, 0.0
    return first.iou(second), boundary_f(first.mask, second.mask)
