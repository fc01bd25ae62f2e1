"""A folder of indexed PNGs, one for each image and annotator, with their palette and their rows."""

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_backend.errors import SegstudioError
from segstudio.data.atomic_files import atomic_folder
from segstudio.data.scratch_db import NameIndex
from segstudio.export.mask_regions import Draw, Drawing, MaskRegion
from segstudio.export.palette import Palette
from segstudio.export.rows import Columns, Entry, Problem, cell
from segstudio.export.tables import Add, Added

Indices = npt.NDArray[np.uint8]

INDEX = "masks.csv"
"""In the folder: a row for each annotation, with the path of its mask."""

LABELS = "labels.csv"
"""In the folder: what each index stands for."""

_ADDED = ("mask_path", "width", "height", "overlap_pixels", "left_out")
_LONGEST = 200
"""Bytes of a part of a path: file systems take 255, and a number may come behind it."""

_MOST = 255
_UNFIT = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')


class PaletteError(SegstudioError):
    """There are more labels than a PNG has indices."""


def paint(masks: Iterable[MaskRegion], palette: Palette) -> tuple[Indices, int]:
    """Put masks on one canvas; where labels overlap, the smaller region wins.

    Labelers see all regions at once, half transparent: what is drawn last is not what counts, and a
    region inside another would vanish if it were drawn first. Of equals, the later wins.

    Args:
        masks: One at least, all of the same size.
        palette: Of the labels.

    Returns:
        (H, W) indices, and the number of pixels that more than one label claims.

    Raises:
        PaletteError: A label has no index.
    """
    largest_first = sorted(masks, key=lambda mask: -mask.rle.area)
    size = largest_first[0].rle.height, largest_first[0].rle.width
    canvas, contested = np.zeros(size, np.uint8), np.zeros(size, bool)
    for mask in largest_first:
        pixels = mask.rle.mask
        for name in mask.region.names:
            index = _label_index(palette, name)
            contested |= pixels & (canvas != 0) & (canvas != index)
            canvas[pixels] = index
    return canvas, int(contested.sum())


@contextmanager
def write_masks(path: Path, columns: Columns, palette: Palette, draw: Draw) -> Iterator[Add]:
    """Write ``ANNOTATOR/IDENTIFIER.png`` below a folder, ``masks.csv`` and ``labels.csv`` in it.

    An annotation without masks has a row and no file: the size of its image is not known.

    Raises:
        PaletteError: There are more labels than indices.
    """
    for label in palette.labels:
        _label_index(palette, label)
    with (
        atomic_folder(path, INDEX) as folder,
        NameIndex() as names,
        (folder / INDEX).open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow([*(column.name for column in columns), *_ADDED])

        def add(entry: Entry) -> Added:
            drawing = draw(entry.task, entry.annotation)
            saved = _save_mask(folder, entry, drawing, palette, names)
            rows.writerow([*map(cell, entry.row.values()), *saved, drawing.left_out])
            problems = [Problem(entry, reason, region) for region, reason in drawing.problems]
            return Added(len(drawing.masks), drawing.left_out, problems)

        yield add
        with (folder / LABELS).open("w", encoding="utf-8", newline="") as labels:
            csv.writer(labels).writerows([("index", "label", "color"), *palette.rows()])


def _save_mask(
    folder: Path, entry: Entry, drawing: Drawing, palette: Palette, names: NameIndex
) -> tuple[str, ...]:
    """Write the mask; returns its path below the folder, width, height and contested pixels."""
    if not drawing.masks:
        return "", "", "", ""
    canvas, contested = paint(drawing.masks, palette)
    name = _mask_path(entry, names)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(canvas, "P")
    image.putpalette([part for color in palette.colors[: _MOST + 1] for part in color])
    image.save(target)
    return name, str(image.width), str(image.height), str(contested)


def _label_index(palette: Palette, label: str) -> int:
    index = palette[label]
    if index > _MOST:
        raise PaletteError(
            f"there are more than {_MOST} labels, and a PNG has no index for {label!r}",
            "use --format coco",
        )
    return index


def _mask_path(entry: Entry, names: NameIndex) -> str:
    """A path of its own, whatever the identifier: the annotation's number is added where needed."""
    identifier, id_ = PurePosixPath(entry.identifier.lstrip("/")), entry.annotation.id
    safe = [part for part in map(_path_part, (*identifier.parent.parts, identifier.stem)) if part]
    annotator = _path_part(entry.annotation.annotator.replace("/", "_"))
    stem = "/".join([annotator or "annotator", *(safe or ["image"])])
    for behind in chain(("", f".{id_}"), (f".{id_}.{n}" for n in count(2))):
        name = f"{stem}{behind}.png"
        if names.claim(name.casefold(), id_) == id_:
            break
    return name


def _path_part(text: str) -> str:
    """A part of a path as every file system takes it; empty where nothing of it is left."""
    return _UNFIT.sub("_", text).encode()[:_LONGEST].decode(errors="ignore").strip(" .")
