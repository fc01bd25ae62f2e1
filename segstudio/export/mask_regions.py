"""Which regions of an annotation are masks, and their pixels."""

from collections.abc import Callable
from dataclasses import dataclass

from ml_backend.labelstudio.annotations import AnnotatedTask, Annotation
from ml_backend.labelstudio.coco_rle import Outline, Rle
from ml_backend.labelstudio.results import (
    Region,
    RegionError,
    mask_shapes,
    region_outline,
    region_rle,
)


@dataclass(frozen=True)
class MaskRegion:
    """A region with pixels.

    Attributes:
        region: As it was drawn.
        rle: Its pixels, one at least.
        outline: Its corners; None for brush strokes, which have none.
    """

    region: Region
    rle: Rle
    outline: Outline | None


@dataclass(frozen=True)
class Drawing:
    """All masks of an annotation; they may overlap.

    Attributes:
        masks: In the order they were drawn, all of the same size.
        left_out: How many regions are no masks: points, boxes beside finer shapes, empty strokes.
        problems: Id of each region whose pixels cannot be told, and why.
    """

    masks: tuple[MaskRegion, ...]
    left_out: int
    problems: tuple[tuple[str, str], ...]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the image in pixels; unknown where nothing is drawn."""
        return (self.masks[0].rle.height, self.masks[0].rle.width) if self.masks else None


Draw = Callable[[AnnotatedTask, Annotation], Drawing]


def draw(task: AnnotatedTask, annotation: Annotation, *, with_boxes: bool) -> Drawing:
    """Find the masks of an annotation; a skipped one has none.

    Args:
        task: Whose annotation it is.
        annotation: With its regions.
        with_boxes: Whether rectangles are masks even where the project has finer shapes.
    """
    shapes = mask_shapes(task.project.controls, with_boxes=with_boxes) | {"unknown"}
    drawn = () if annotation.skipped else annotation.parsed.regions
    masks: list[MaskRegion] = []
    problems: list[tuple[str, str]] = []
    for region in drawn:
        if region.shape in shapes:
            try:
                mask = _mask(region, task.project.image, masks)
            except RegionError as error:
                problems.append((region.id, error.message))
            else:
                if mask.rle.area:
                    masks.append(mask)
    left_out = len(drawn) - len(masks) - len(problems)
    return Drawing(tuple(masks), left_out, tuple(problems))


def _mask(region: Region, image: str, before: list[MaskRegion]) -> MaskRegion:
    if region.to_name != image or region.item:
        raise RegionError(f"it is on another image of its task than the first, {image!r}")
    if region.shape == "unknown":
        raise RegionError("it has no shape that segstudio knows")
    rle = region_rle(region)
    if before and (before[0].rle.height, before[0].rle.width) != (rle.height, rle.width):
        raise RegionError(
            f"its image has {rle.width} x {rle.height} pixels, that of the region before "
            f"{before[0].rle.width} x {before[0].rle.height}"
        )
    return MaskRegion(region, rle, None if region.shape == "brush" else region_outline(region))
