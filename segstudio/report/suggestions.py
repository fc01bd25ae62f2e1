"""Outcome of suggested regions: kept, corrected, relabelled, deleted; and regions added."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ml_backend.labelstudio.coco_rle import Rle
from segstudio.export.mask_regions import MaskRegion

KEPT = 0.95
"""Minimum IoU of a region that counts as kept as it was."""

_SAME = 0.3
"""Minimum IoU of two regions that count as the same object if their IDs differ."""

Fate = Literal["kept", "corrected", "relabelled", "deleted", "added"]
FATES: tuple[Fate, ...] = ("kept", "corrected", "relabelled", "deleted", "added")


@dataclass(frozen=True)
class RegionFate:
    """Outcome of one region.

    Attributes:
        fate: Outcome, such as ``kept``.
        label: Label that was suggested, or submitted for an added region.
    """

    fate: Fate
    label: str


def compare_regions(
    suggested: Sequence[MaskRegion], submitted: Sequence[MaskRegion]
) -> Iterator[RegionFate]:
    """Compare the regions of a suggestion and of an annotation on one image of one size."""
    pairs = _pair(suggested, submitted)
    for number, region in enumerate(suggested):
        partner = pairs.get(number)
        fate: Fate = "deleted" if partner is None else _fate(region, submitted[partner])
        yield RegionFate(fate, region.region.names[0])
    for number in sorted(set(range(len(submitted))) - set(pairs.values())):
        yield RegionFate("added", submitted[number].region.names[0])


def label_ious(
    suggested: Sequence[MaskRegion], submitted: Sequence[MaskRegion]
) -> dict[str, float]:
    """Return the IoU of all pixels of each label; 0 if only one side has it."""
    before, after = by_label(suggested), by_label(submitted)
    return {
        label: before[label].iou(after[label]) if label in before and label in after else 0.0
        for label in sorted(before.keys() | after.keys())
    }


def by_label(masks: Sequence[MaskRegion]) -> dict[str, Rle]:
    """Return the union of the masks of each label."""
    parts: dict[str, list[Rle]] = {}
    for mask in masks:
        for name in mask.region.names:
            parts.setdefault(name, []).append(mask.rle)
    return {label: Rle.union(rles) for label, rles in parts.items()}


def _pair(suggested: Sequence[MaskRegion], submitted: Sequence[MaskRegion]) -> Mapping[int, int]:
    """Pair regions: those with the same ID, which Label Studio keeps, then the most similar."""
    by_id = {mask.region.id: number for number, mask in enumerate(submitted)}
    pairs = {
        number: by_id[mask.region.id]
        for number, mask in enumerate(suggested)
        if mask.region.id in by_id
    }
    ious = [
        (first.rle.iou(second.rle), a, b)
        for a, first in enumerate(suggested)
        for b, second in enumerate(submitted)
        if a not in pairs and b not in pairs.values()
    ]
    for iou, a, b in sorted(ious, reverse=True):
        if iou >= _SAME and a not in pairs and b not in pairs.values():
            pairs[a] = b
    return pairs


def _fate(before: MaskRegion, after: MaskRegion) -> Fate:
    if set(before.region.names) != set(after.region.names):
        return "relabelled"
    return "kept" if before.rle.iou(after.rle) >= KEPT else "corrected"
