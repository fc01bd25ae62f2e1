"""Through the images that two raters or more have annotated, pair by pair."""

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
        choice: One of its choices; empty: all, where only one may be chosen.
        images: That two raters or more answered.
        kappa: Cohen's, mean over pairs of raters; None where it is undefined.
        alpha: Krippendorff's; None where it is undefined.
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
        label: Its name.
        pairs: Pairs of raters, over all images, of whom one at least marked the label.
        one_sided: Pairs of whom just one did: their IoU and boundary F are 0.
        iou: Mean intersection over union, 0..1.
        boundary_f: Mean, 0..1.
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
        identifier: Of the image.
        score: 0..1, mean over all pairs and all that they could agree on: 1 - IoU for each label,
            1 - Jaccard for each control.
        worst: What they are furthest apart on: a label or a control.
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
    """The result of ``run``.

    Args:
        store: With all annotations.

    Attributes:
        mismatched: Images whose masks are of different sizes, which are not compared.
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
            AgreementError: There are none.
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
        """By label, those that are agreed on least first."""
        found = [
            MaskAgreement(label, s.pairs, s.one_sided, s.iou / s.pairs, s.boundary_f / s.pairs)
            for label, s in self._labels.items()
        ]
        return sorted(found, key=lambda each: (each.iou, each.label))

    def images(self, most: int | None = None) -> Iterator[Disagreement]:
        """Images by disagreement, the highest first."""
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
    """Agreement on a control where one choice is given, then on each choice."""
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
    """(choices, raters, images) whether each was chosen, and (raters, images) who answered."""
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
    """IoU and boundary F; both are 0 where one is not there."""
    if first is None or second is None:
        return 0.0, 0.0
    return first.iou(second), boundary_f(first.mask, second.mask)
