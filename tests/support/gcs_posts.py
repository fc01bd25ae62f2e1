"""A project of posts as the uploads' tests have it: a CSV file, its images, the command."""

import csv
import sys
from pathlib import Path

from segstudio.data.tables import CsvTable

SEGSTUDIO = str(Path(sys.executable).with_name("segstudio"))
UPLOAD = ("images", "upload", "posts.csv", "--bucket", "gs://photos")
RULE = ("--path-column", "image_path", "--name", "{Username}/{ID}.jpg")


def write_posts(*identifiers: int | str, missing: tuple[int | str, ...] = ()) -> dict[str, bytes]:
    """Write posts.csv and its images; what the bucket shall then hold."""
    Path("images").mkdir(exist_ok=True)
    expected = {}
    with Path("posts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("Username", "ID", "Caption", "image_path"))
        for identifier in identifiers:
            path = Path("images", f"{identifier}.jpg")
            rows.writerow(("afd.bund", identifier, f"a caption,\nof {identifier}", path))
            if identifier not in missing:
                content = f"image {identifier} \r\n\0\xff".encode("latin-1")
                path.write_bytes(content)
                expected[f"afd.bund/{identifier}.jpg"] = content
    return expected


def manifest_rows(path: str = "posts.manifest.csv") -> list[dict[str, str]]:
    return [dict(row.values) for row in CsvTable(Path(path))]
