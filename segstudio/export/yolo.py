"""Ultralytics' data sets: boxes (``yolo``) or polygons (``yolo-seg``).

The format: https://docs.ultralytics.com/datasets/segment. A file of labels for each sample, a line
for each region and label, all numbers as shares of the image's width and height.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from segstudio.export.mask_regions import MaskRegion
from segstudio.export.outlines import one_polygon
from segstudio.export.sample_folder import SampleFolder, open_sample_folder
from segstudio.export.samples import Output, Sample, Write

Shape = Callable[[MaskRegion], list[float]]
"""Returns the numbers of a region's line, as fractions of the image's size."""


@contextmanager
def _write(shape: Shape, output: Output) -> Iterator[Write]:
    """Write ``data.yaml``, ``labels/PART/…txt`` and, if they were fetched, ``images/PART/…``."""
    with open_sample_folder(output) as folder:

        def write(sample: Sample) -> None:
            if sample.skipped:
                return
            placed = folder.place(sample)
            lines = [
                " ".join([str(output.palette[label] - 1), *(f"{n:.6g}" for n in shape(mask))])
                for mask in sample.masks
                for label in mask.region.names
            ]
            labels = folder.file(f"labels/{placed.part}/{placed.name}.txt")
            labels.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            folder.add_image(sample, f"images/{placed.part}/{placed.image}")

        yield write
        folder.file("data.yaml").write_text(_data_yaml(folder), encoding="utf-8")


def _data_yaml(folder: SampleFolder) -> str:
    """Return the description of the data set; paths are relative to it.

    Ultralytics needs validation images; without any, the training images are used.
    """
    parts = [part for part in folder.output.splits.rule.names if folder.tally[part]]
    paths = {part: f"images/{part}" for part in parts}
    paths.setdefault("train", "images/train")
    paths.setdefault("val", paths["train"])
    lines = [f"{part}: {paths[part]}" for part in ("train", "val", "test") if part in paths]
    # A JSON string is valid YAML.
    names = [
        f"  {number}: {json.dumps(label, ensure_ascii=False)}"
        for number, label in enumerate(folder.output.palette.labels)
    ]
    return "\n".join([*lines, "names:" if names else "names: {}", *names, ""])


def _box(mask: MaskRegion) -> list[float]:
    left, top, width, height = mask.rle.bbox
    size = np.array([mask.rle.width, mask.rle.height] * 2)
    numbers: list[float] = (
        np.array([left + width / 2, top + height / 2, width, height]) / size
    ).tolist()
    return numbers


def _polygon(mask: MaskRegion) -> list[float]:
    size = np.array([mask.rle.width, mask.rle.height])
    outline = one_polygon(mask.rle) if mask.outline is None else mask.outline
    numbers: list[float] = (outline / size).clip(0, 1).ravel().tolist()
    return numbers


write_yolo = partial(_write, _box)
write_yolo_seg = partial(_write, _polygon)
