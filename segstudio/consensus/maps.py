"""Folder with the disagreement on each image: a number, and a map of the pixels."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePosixPath

from PIL import Image

from segstudio.consensus.votes import Consensus
from segstudio.data.atomic_files import atomic_folder
from segstudio.data.scratch_db import NameIndex
from segstudio.export.references import file_name

INDEX = "consensus.csv"
"""File in the folder: a row for each image."""

Add = Callable[[Consensus], None]


@contextmanager
def write_maps(path: Path) -> Iterator[Add]:
    """Write ``consensus.csv`` and a gray PNG for each image, white at the highest disagreement.

    Raises:
        TableError: The folder cannot be written, or ``path`` is something else.
    """
    with (
        atomic_folder(path, INDEX) as folder,
        NameIndex() as names,
        (folder / INDEX).open("w", encoding="utf-8", newline="") as file,
    ):
        rows, numbers = csv.writer(file), count(1)
        rows.writerow(("identifier", "disagreement", "worst", "annotators", "map"))

        def add(consensus: Consensus) -> None:
            for merged in consensus.pictures:
                identifier, picture = consensus.identifier, merged.picture
                name = PurePosixPath(file_name(identifier, picture.reference, picture.name))
                stem, number, found = name.with_suffix(""), next(numbers), ""
                if merged.disputed is not None:
                    first = names.claim(f"{stem}".casefold(), number) == number
                    found = f"{stem}.png" if first else f"{stem}.{number}.png"
                    target = folder / found
                    target.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(merged.disputed).save(target)
                rows.writerow(
                    (
                        "#".join(filter(None, [identifier, picture.name])),
                        f"{consensus.disagreement:.4f}",
                        consensus.worst,
                        consensus.annotators,
                        found,
                    )
                )

        yield add
