"""Datumaro's native format, which CVAT reads and ``datum convert`` turns into many others.

The format: https://open-edge-platform.github.io/datumaro, "Datumaro format" 1.0. An item for each
sample; polygons stay polygons, all else is a mask.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from segstudio.export.json_lists import Spool, write_list
from segstudio.export.mask_regions import MaskRegion
from segstudio.export.outlines import part_polygons
from segstudio.export.palette import Palette
from segstudio.export.sample_folder import open_sample_folder
from segstudio.export.samples import Output, Sample, Write

_IMAGES = 2
"""Datumaro's code of the media type."""


@contextmanager
def write_datumaro(output: Output) -> Iterator[Write]:
    """Write ``annotations/PART.json`` and, if they were fetched, ``images/PART/…``."""
    with open_sample_folder(output) as folder, ExitStack() as spools:
        parts = {part: spools.enter_context(Spool()) for part in output.splits.rule.names}

        def write(sample: Sample) -> None:
            if not sample.skipped:
                placed = folder.place(sample)
                parts[placed.part].add(_item(sample, placed.name, placed.image, output))
                folder.add_image(sample, f"images/{placed.part}/{placed.image}")

        yield write
        for part, items in parts.items():
            path = folder.file(f"annotations/{part}.json")
            with path.open("w", encoding="utf-8") as file:
                file.write(f'{{"dm_format_version": "1.0", "media_type": {_IMAGES}, "infos": {{}},')
                file.write(f'\n"categories": {json.dumps(_categories(output.palette))},\n')
                write_list(file, "items", items, end="}\n")


def _categories(palette: Palette) -> dict[str, Any]:
    labels = [{"name": label, "parent": "", "attributes": []} for label in palette.labels]
    colors = [
        {"label_id": number, **dict(zip("rgb", palette.colors[number + 1], strict=True))}
        for number in range(len(labels))
    ]
    return {
        "label": {"labels": labels, "label_groups": [], "attributes": []},
        "mask": {"colormap": colors},
    }


def _item(sample: Sample, name: str, image: str, output: Output) -> dict[str, Any]:
    entry = sample.entry
    return {
        "id": name,
        "annotations": [
            annotation
            for group, mask in enumerate(sample.masks, 1)
            for label in mask.region.names
            for annotation in _annotations(mask, group, output.palette[label] - 1, output.polygons)
        ],
        "attr": {
            "identifier": sample.picture.identifier,
            "annotator": entry.annotation.annotator,
            "annotation": entry.annotation.id,
            "task": entry.task.id,
            "project": entry.task.project.id,
        },
        "image": {"path": image} | ({"size": sample.picture.size} if sample.picture.size else {}),
    }


def _annotations(
    mask: MaskRegion, group: int, label: int, polygons: bool
) -> Iterator[dict[str, Any]]:
    common = {
        "id": group,
        "group": group,
        "label_id": label,
        "z_order": group,
        "attributes": {name: json.dumps(value) for name, value in mask.region.attributes.items()},
    }
    if mask.outline is None and not polygons:
        yield {**common, "type": "mask", "rle": mask.rle.coco}
        return
    for outline in part_polygons(mask.rle) if mask.outline is None else [mask.outline]:
        yield {**common, "type": "polygon", "points": outline.ravel().round(3).tolist()}
