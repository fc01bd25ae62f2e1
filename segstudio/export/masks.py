"""Folder of indexed PNGs, one for each image and annotator, with palette and rows."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_backend.errors import SegstudioError
from segstudio.data.atomic_files import atomic_folder
from segstudio.data.scratch_db import NameIndex
from segstudio.export.mask_regions import MaskRegion, Size
from segstudio.export.palette import Palette
from segstudio.export.rows import cell
from segstudio.export.sample_folder import sample_name
from segstudio.export.samples import Output, Sample, Write

Indices = npt.NDArray[np.uint8]

INDEX = "masks.csv"
"""File in the folder: a row for each annotation, with the path of its mask."""

LABELS = "labels.csv"
"""File in the folder: the label of each index."""

_ADDED = ("mask_path", "width", "height", "overlap_pixels", "left_out")
MOST_INDICES = 255
"""Maximum number of labels in a PNG with a palette, without the background."""


class PaletteError(SegstudioError):
    """There are more labels than a PNG has indices."""


def paint(masks: Iterable[MaskRegion], palette: Palette, size: Size) -> tuple[Indices, int]:
    """Paint masks on one canvas; where labels overlap, the smaller region wins.

    Labelers see all regions at once, half transparent, so the drawing order does not matter to
    them, and a region inside another must not vanish. If sizes are equal, the later region wins.

    Args:
        masks: Masks of the image's size.
        palette: Palette with an index for each label.
        size: Height and width of the image in pixels.

    Returns:
        (H, W) indices, and the number of pixels covered by more than one label.

    Raises:
        PaletteError: A label has no index.
    """
    largest_first = sorted(masks, key=lambda mask: -mask.rle.area)
    canvas, contested = np.zeros(size, np.uint8), np.zeros(size, bool)
    for mask in largest_first:
        pixels = mask.rle.mask
        for name in mask.region.names:
            index = _label_index(palette, name)
            contested |= pixels & (canvas != 0) & (canvas != index)
            canvas[pixels] = index
    return canvas, int(contested.sum())


@contextmanager
def write_masks(output: Output) -> Iterator[Write]:
    """Write ``ANNOTATOR/IDENTIFIER.png`` below a folder, ``masks.csv`` and ``labels.csv`` in it.

    Skipped annotations and images of unknown size have a row and no file.

    Raises:
        PaletteError: There are more labels than indices.
    """
    palette = output.palette
    check_indices(palette)
    with (
        atomic_folder(output.path, INDEX) as folder,
        NameIndex() as names,
        (folder / INDEX).open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow([*(column.name for column in output.columns), *_ADDED])

        def write(sample: Sample) -> None:
            saved = _save_mask(folder, sample, output, names)
            rows.writerow([*map(cell, sample.entry.row.values()), *saved, sample.left_out])

        yield write
        with (folder / LABELS).open("w", encoding="utf-8", newline="") as labels:
            csv.writer(labels).writerows([("index", "label", "color"), *palette.rows()])


def check_indices(palette: Palette) -> None:
    """Check that a PNG has an index for each label.

    Raises:
        PaletteError: There are more labels than indices.
    """
    for label in palette.labels:
        _label_index(palette, label)


def save_indices(canvas: Indices, palette: Palette, file: Path | IO[bytes]) -> None:
    """Write (H, W) indices as a PNG with the labels' colors."""
    image = Image.fromarray(canvas, "P")
    image.putpalette([part for color in palette.colors[: MOST_INDICES + 1] for part in color])
    image.save(file, "PNG")


def _save_mask(folder: Path, sample: Sample, output: Output, names: NameIndex) -> tuple[str, ...]:
    """Write the mask; return its path below the folder, width, height and overlapping pixels."""
    size = sample.picture.size
    if sample.skipped or size is None:
        return "", "", "", ""
    palette, images = output.palette, output.images
    canvas, contested = paint(sample.masks, palette, size)
    name = f"{sample_name(sample, names)}.png"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    save_indices(canvas, palette, target)
    if images:
        images.place(sample.picture, folder / "images" / sample.picture.file_name)
    return name, str(size[1]), str(size[0]), str(contested)


def _label_index(palette: Palette, label: str) -> int:
    index = palette[label]
    if index > MOST_INDICES:
        raise PaletteError(
            f"there are more than {MOST_INDICES} labels, and a PNG has no index for {label!r}",
            "use --format coco",
        )
    return index
