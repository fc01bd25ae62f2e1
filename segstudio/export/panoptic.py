"""COCO's panoptic format: segments do not overlap, and a PNG has the segment of each pixel.

The format: https://cocodataset.org/#format-data, "Panoptic Segmentation".
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from PIL import Image

from ml_backend.labelstudio.coco_rle import Rle
from segstudio.export.json_lists import Spool, write_list
from segstudio.export.mask_regions import MaskRegion, Size
from segstudio.export.palette import Palette
from segstudio.export.sample_folder import SampleFolder, open_sample_folder
from segstudio.export.samples import Output, Sample, Write


@contextmanager
def write_panoptic(output: Output) -> Iterator[Write]:
    """Write ``annotations/panoptic_PART.json`` and a folder of PNGs of the same name."""
    with open_sample_folder(output) as folder, ExitStack() as spools:
        parts = {part: _Part(spools, part) for part in output.splits.rule.names}

        def write(sample: Sample) -> None:
            if not sample.skipped and sample.picture.size:
                placed = folder.place(sample)
                parts[placed.part].write(folder, sample, placed.name, placed.image)

        yield write
        for part in parts.values():
            part.finish(folder)


class _Part:
    """Writer of one part of the data set."""

    def __init__(self, spools: ExitStack, name: str) -> None:
        self._name = name
        self._images = spools.enter_context(Spool())
        self._annotations = spools.enter_context(Spool())
        self._count = 0

    def write(self, folder: SampleFolder, sample: Sample, name: str, image: str) -> None:
        self._count += 1
        picture, entry = sample.picture, sample.entry
        height, width = picture.size or (1, 1)
        canvas, segments = _segments(sample.masks, (height, width), folder.output.palette)
        target = folder.file(f"annotations/panoptic_{self._name}/{name}.png")
        Image.fromarray(canvas).save(target)
        self._images.add(
            {
                "id": self._count,
                "file_name": image,
                "coco_url": picture.address,
                "height": height,
                "width": width,
                "annotator": entry.annotation.annotator,
            }
        )
        self._annotations.add(
            {"image_id": self._count, "file_name": f"{name}.png", "segments_info": segments}
        )
        folder.add_image(sample, f"images/{self._name}/{image}")

    def finish(self, folder: SampleFolder) -> None:
        path = folder.file(f"annotations/panoptic_{self._name}.json")
        with path.open("w", encoding="utf-8") as file:
            file.write('{"info": {"description": "exported by segstudio"}, "licenses": [],\n')
            write_list(file, "categories", folder.output.palette.categories())
            write_list(file, "images", self._images)
            write_list(file, "annotations", self._annotations, end="}\n")


def _segments(
    masks: tuple[MaskRegion, ...], size: Size, palette: Palette
) -> tuple[np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], list[dict[str, object]]]:
    """Paint regions, the smaller ones on top; fully covered ones are left out.

    Returns:
        (H, W, 3) uint8 segment numbers in base 256, lowest digit first; and the record of each
        segment.
    """
    numbers = np.zeros(size, np.int32)
    ordered = sorted(enumerate(masks, 1), key=lambda each: -each[1].rle.area)
    for number, mask in ordered:
        numbers[mask.rle.mask] = number
    segments = []
    for number, mask in enumerate(masks, 1):
        seen = Rle.of_mask(numbers == number)
        if seen.area:
            segments.append(
                {
                    "id": number,
                    "category_id": palette[mask.region.names[-1]],
                    "area": seen.area,
                    "bbox": list(seen.bbox),
                    "iscrowd": 0,
                }
            )
    digits = [numbers >> shift & 255 for shift in (0, 8, 16)]
    return np.stack(digits, axis=-1).astype(np.uint8), segments
