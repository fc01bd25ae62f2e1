"""Pictures to label: those of a folder, or drawn samples."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from segstudio.data.tables import JPEG_SUFFIXES, image_files
from segstudio.errors import PhotographsError
from synthetic.people import draw_figure

_UPLOADED_AS = {
    **dict.fromkeys(JPEG_SUFFIXES - {".jpg", ".jpeg"}, ".jpg"),
    ".apng": ".png",
}
"""Suffixes that Label Studio refuses → an accepted one for the same format."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", *_UPLOADED_AS})
"""Formats that browsers show, the backends read, and Label Studio accepts as uploads."""

_SAMPLES = 6
_SAMPLE_HEIGHT, _SAMPLE_WIDTH = 900, 600
_BATCH_FILES = 50
_BATCH_BYTES = 100_000_000


@dataclass(frozen=True)
class Photograph:
    """A picture file.

    Attributes:
        path: Path of the file.
        name: Human-readable name: path inside the folder, without the suffix.
    """

    path: Path
    name: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: equal pictures are one task, whatever their names."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def upload_name(self) -> str:
        """File name that needs no quoting in a URL."""
        suffix = _UPLOADED_AS.get(self.path.suffix.lower(), self.path.suffix)
        return re.sub(r"[^A-Za-z0-9.-]+", "_", self.path.stem + suffix)


def find_photographs(folder: Path, left_out: Counter[str] | None = None) -> list[Photograph]:
    """Return the photographs in a folder and its subfolders, sorted by name.

    Args:
        folder: Root folder.
        left_out: Counter of all other files by suffix.

    Raises:
        PhotographsError: The folder does not exist, or contains no photograph.
        TableError: A subfolder cannot be read.
    """
    if not folder.is_dir():
        raise PhotographsError(f"IMAGES: no folder {folder}", "name a folder with photographs")
    paths = list(image_files(folder, SUFFIXES, left_out=left_out))
    if not paths:
        kinds = " ".join(sorted(SUFFIXES))
        raise PhotographsError(f"IMAGES: no photographs in {folder}", f"it takes {kinds}")
    return [Photograph(folder / path, str(path.with_suffix(""))) for path in paths]


def draw_samples(folder: Path) -> list[Photograph]:
    """Draw the sample pictures unless they exist; no photograph ships with the project."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, _SAMPLES + 1):
        path = folder / f"drawn-{seed}.jpg"
        if not path.exists():
            figure = draw_figure(seed, _SAMPLE_HEIGHT, _SAMPLE_WIDTH)
            Image.fromarray(figure.image).save(path, quality=92)
    return find_photographs(folder)


def batches(photographs: Sequence[Photograph]) -> Iterator[list[Photograph]]:
    """Yield batches that fit into one request to Label Studio, at least one photograph each."""
    batch: list[Photograph] = []
    size = 0
    for photograph in photographs:
        bytes_ = photograph.path.stat().st_size
        if batch and (len(batch) == _BATCH_FILES or size + bytes_ > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(photograph)
        size += bytes_
    if batch:
        yield batch
