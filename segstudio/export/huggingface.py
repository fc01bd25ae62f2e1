"""A data set for Hugging Face's ``datasets``: Parquet files of samples, and a card.

The format: https://huggingface.co/docs/datasets/image_dataset, with the types of the columns in the
Parquet schema under ``huggingface``, where ``datasets`` itself keeps them. Images are embedded if
they were fetched; otherwise the column is null, and ``reference`` says where they are.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from segstudio.export.masks import check_indices, paint, save_indices
from segstudio.export.palette import Palette
from segstudio.export.rows import Column, Columns, Kind, Value
from segstudio.export.sample_folder import SampleFolder, open_sample_folder
from segstudio.export.samples import Output, Sample, Write
from segstudio.export.tables import typed

_ROW_GROUP_BYTES = 64 << 20
_ROW_GROUP = 1000
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_OBJECTS = pa.list_(
    pa.struct([("label", pa.int64()), ("bbox", pa.list_(pa.float64())), ("area", pa.int64())])
)
_TYPES: Mapping[Kind, tuple[pa.DataType, Any]] = {
    "text": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "number": (pa.float64(), {"dtype": "float64", "_type": "Value"}),
    "integer": (pa.int64(), {"dtype": "int64", "_type": "Value"}),
    "flag": (pa.bool_(), {"dtype": "bool", "_type": "Value"}),
    "time": (pa.timestamp("us", tz="UTC"), {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"}),
    "parts": (pa.string(), {"dtype": "string", "_type": "Value"}),
    "list": (
        pa.list_(pa.string()),
        {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    ),
}
_PICTURES = frozenset({"image", "mask", "objects"})


@contextmanager
def write_huggingface(output: Output) -> Iterator[Write]:
    """Write ``data/PART-00000-of-00001.parquet`` and ``README.md``.

    Raises:
        PaletteError: There are more labels than a mask has indices.
    """
    check_indices(output.palette)
    with open_sample_folder(output) as folder:
        with ExitStack() as files:
            parts = {
                part: files.enter_context(_open_part(folder, part))
                for part in output.splits.rule.names
            }

            def write(sample: Sample) -> None:
                if not sample.skipped:
                    placed = folder.place(sample)
                    parts[placed.part].add(_row(sample, placed.name, output))

            yield write
        folder.file("README.md").write_text(_card(folder), encoding="utf-8")


class _Part:
    """Writer of a part's rows, in groups of bounded size."""

    def __init__(self, file: parquet.ParquetWriter, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        pictures = (row["image"] or {}, row["mask"] or {})
        self._bytes += sum(len(each.get("bytes") or b"") for each in pictures)
        if len(self._rows) == _ROW_GROUP or self._bytes > _ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()
        self._bytes = 0


@contextmanager
def _open_part(folder: SampleFolder, name: str) -> Iterator[_Part]:
    schema = _schema(folder.output.columns, folder.output.palette)
    path = folder.file(f"data/{name}-00000-of-00001.parquet")
    with parquet.ParquetWriter(path, schema) as file:
        part = _Part(file, schema)
        yield part
        part.flush()


def _columns(columns: Columns) -> list[tuple[str, Column]]:
    """Return the name of each column; ``image`` is the picture, ``reference`` its reference."""
    taken = {column.name for column in columns} | _PICTURES
    named = []
    for column in columns:
        name = "reference" if column.name == "image" else column.name
        while name != column.name and name in taken:
            name = f"image.{name}"
        while name in _PICTURES:
            name = f"answer.{name}"
        named.append((name, column))
    return named


def _schema(columns: Columns, palette: Palette) -> pa.Schema:
    names = {"names": list(palette.labels), "_type": "ClassLabel"}
    number = {"dtype": "float64", "_type": "Value"}
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "mask": {"_type": "Image"},
        "objects": {
            "feature": {
                "label": names if palette.labels else {"dtype": "int64", "_type": "Value"},
                "bbox": {"feature": number, "_type": "List"},
                "area": {"dtype": "int64", "_type": "Value"},
            },
            "_type": "List",
        },
    }
    fields = [("image", _IMAGE), ("mask", _IMAGE), ("objects", _OBJECTS)]
    for name, column in _columns(columns):
        arrow, feature = _TYPES[column.kind]
        fields.append((name, arrow))
        features[name] = feature
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata)


def _row(sample: Sample, name: str, output: Output) -> dict[str, Any]:
    palette, size = output.palette, sample.picture.size
    path = output.images.find(sample.picture) if output.images else None
    mask = None
    if size:
        canvas, _ = paint(sample.masks, palette, size)
        buffer = io.BytesIO()
        save_indices(canvas, palette, buffer)
        mask = {"bytes": buffer.getvalue(), "path": f"{name}.png"}
    objects = [
        {"label": palette[label] - 1, "bbox": list(m.rle.bbox), "area": m.rle.area}
        for m in sample.masks
        for label in m.region.names
    ]
    values, columns = sample.entry.row, _columns(output.columns)
    cells: dict[str, Value] = {name_: typed(values[each.name], each) for name_, each in columns}
    image = {"bytes": path.read_bytes(), "path": sample.picture.file_name} if path else None
    identifier = {"identifier": sample.picture.identifier}
    return {"image": image, "mask": mask, "objects": objects, **cells, **identifier}


def _card(folder: SampleFolder) -> str:
    """Return the data set card; its header lists the files of each part for ``datasets``."""
    parts = folder.output.splits.rule.names
    names = {"train": "train", "val": "validation", "test": "test"}
    files = "\n".join(
        f"  - split: {names[part]}\n    path: data/{part}-00000-of-00001.parquet" for part in parts
    )
    labels = "\n".join(f"| {i} | {label} | {color} |" for i, label, color in _rows(folder.output))
    counts = "\n".join(f"| {names[part]} | {folder.tally[part]} |" for part in parts)
    return f"""---
task_categories:
- image-segmentation
configs:
- config_name: default
  data_files:
{files}
---

# Image segmentation data set

Exported from Label Studio by segstudio. A row for each annotation of an image: `image` (null where
it was not fetched; `reference` says where it is), `mask` (a PNG of indices), `objects` (each region
and label with its box, overlapping or not), then the answers and Label Studio's metadata.

| part | rows |
|---|---|
{counts}

| index | label | color |
|---|---|---|
{labels}

Labels in `objects` count from 0; in `mask` 0 is the background.
"""


def _rows(output: Output) -> Iterator[tuple[str, str, str]]:
    for index, label, color in output.palette.rows():
        yield index, label.replace("|", "\\|").replace("\n", " "), color
