"""Select the regions of an annotation that are masks, image by image."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ml_backend.images.settings import PILLOW_MAX_PIXELS
from ml_backend.labelstudio.annotations import AnnotatedTask, Annotation, Picture
from ml_backend.labelstudio.coco_rle import Outline, Rle
from ml_backend.labelstudio.region_pixels import RegionError, region_outline, region_rle
from ml_backend.labelstudio.results import Region, Shape, mask_shapes

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class MaskRegion:
    """A region with pixels.

    region: Region as drawn.
        rle: Pixels of the region, at least one.
        outline: Corners of the region; None for brush strokes and bitmasks.
        outline: Its corners; None for brush strokes and bitmasks, which have none.
    """

    region: Region
    rle: Rle
    outline: Outline | None


@dataclass(frozen=True)
class Drawing:
    """All masks of an annotation on one image; they may overlap.

    Attributes:
        picture: Image of the task.
        masks: Masks in drawing order, all of one size.
        size: Image size according to its regions, points included; None without regions.
        left_out: Number of regions that are not masks: points, boxes next to finer shapes, empty
            strokes.
        problems: ID and reason of each region whose pixels are unknown.
    """

    picture: Picture
    masks: tuple[MaskRegion, ...]
    size: Size | None
    left_out: int
    problems: tuple[tuple[str, str], ...]


Draw = Callable[[AnnotatedTask, Annotation], list[Drawing]]


def draw(task: AnnotatedTask, annotation: Annotation, *, with_boxes: bool) -> list[Drawing]:
    """Return the masks of an annotation on each image of its task; skipped ones have none.

    Args:
        task: Task of the annotation.
        annotation: Annotation to read.
        with_boxes: Whether rectangles are masks even where the project has finer shapes.
    """
    unknown: frozenset[Shape] = frozenset({"unknown"})
    shapes = mask_shapes(task.project.controls, with_boxes=with_boxes) | unknown
    by_image: dict[tuple[str, int], list[Region]] = {
        (picture.tag, picture.item): [] for picture in task.pictures
    }
    lost: list[tuple[str, str]] = []
    for region in () if annotation.skipped else annotation.parsed.regions:
        place = region.to_name, region.item
        if place in by_image:
            by_image[place].append(region)
        elif region.shape in shapes:
            lost.append((region.id, f"it is on {_name(*place)}, which its task does not show"))
    drawings = [_draw(p, by_image[p.tag, p.item], shapes) for p in task.pictures]
    if lost and drawings:
        first = drawings[0]
        problems = (*first.problems, *lost)
        drawings[0] = Drawing(first.picture, first.masks, first.size, first.left_out, problems)
    return drawings


def common_size(regions: Iterable[Region]) -> Size | None:
    """Return the most frequent image size among regions; None without any."""
    sizes = Counter(
        (region.height, region.width)
        for region in regions
        if min(region.height, region.width) > 0
        and region.height * region.width <= PILLOW_MAX_PIXELS
    )
    return sizes.most_common(1)[0][0] if sizes else None


def _draw(picture: Picture, regions: Iterable[Region], shapes: Iterable[Shape]) -> Drawing:
    masks: list[MaskRegion] = []
    problems: list[tuple[str, str]] = []
    drawn = list(regions)
    size = common_size(drawn)
    for region in drawn:
        if region.shape in shapes:
            try:
                mask = _mask(region, size)
            except RegionError as error:
                problems.append((region.id, error.message))
            else:
                if mask.rle.area:
                    masks.append(mask)
    left_out = len(drawn) - len(masks) - len(problems)
    return Drawing(picture, tuple(masks), size, left_out, tuple(problems))


def _mask(region: Region, size: Size | None) -> MaskRegion:
    if region.shape == "unknown":
        raise RegionError("its shape is not supported")
    rle = region_rle(region)
    if size and size != (rle.height, rle.width):
        raise RegionError(
            f"its image has {rle.width} x {rle.height} pixels, that of other regions "
            f"{size[1]} x {size[0]}"
        )
    drawn = region.shape in ("brush", "bitmask")
    return MaskRegion(region, rle, None if drawn else region_outline(region))


def _name(tag: str, item: int) -> str:
    return f"page {item + 1} of {tag!r}" if item else f"the image {tag!r}"
