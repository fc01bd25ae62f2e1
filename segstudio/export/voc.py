"""PASCAL VOC's layout: boxes in XML, classes and objects as indexed PNGs, lists of names.

The format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. All images are
named ``.jpg``, whatever their format, because readers look for that name only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from segstudio.export.mask_regions import MaskRegion
from segstudio.export.masks import MOST_INDICES, PaletteError, check_indices, paint, save_indices
from segstudio.export.sample_folder import Placed, SampleFolder, open_sample_folder
from segstudio.export.samples import Output, Sample, Write

_LABELS = "labelmap.txt"


@contextmanager
def write_voc(output: Output) -> Iterator[Write]:
    """Write ``Annotations``, ``SegmentationClass``, ``SegmentationObject`` and ``ImageSets``.

    Raises:
        PaletteError: There are more labels, or objects on an image, than a PNG has indices.
    """
    check_indices(output.palette)
    with open_sample_folder(output) as folder:
        for part in output.splits.rule.names:
            for kind in ("Main", "Segmentation"):
                folder.file(f"ImageSets/{kind}/{part}.txt").touch()

        def write(sample: Sample) -> None:
            if not sample.skipped:
                _write_sample(folder, sample)

        yield write
        lines = ["# label:color_rgb:parts:actions"]
        lines += [f"{label}:{color}::" for _, label, color in _colors(output)]
        folder.file(_LABELS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_sample(folder: SampleFolder, sample: Sample) -> None:
    placed = folder.place(sample, ".jpg")
    xml = _annotation(sample, placed)
    folder.file(f"Annotations/{placed.name}.xml").write_bytes(xml)
    folder.add_image(sample, f"JPEGImages/{placed.image}")
    kinds = ["Main"]
    if size := sample.picture.size:
        palette = folder.output.palette
        canvas, _ = paint(sample.masks, palette, size)
        save_indices(canvas, palette, folder.file(f"SegmentationClass/{placed.name}.png"))
        objects = folder.file(f"SegmentationObject/{placed.name}.png")
        save_indices(_paint_objects(sample), palette, objects)
        kinds.append("Segmentation")
    for kind in kinds:
        with folder.file(f"ImageSets/{kind}/{placed.part}.txt").open("a") as file:
            file.write(f"{placed.name}\n")


def _paint_objects(sample: Sample) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Assign numbers to regions in the order of the XML's objects, from 1; smaller ones on top."""
    if len(sample.masks) >= MOST_INDICES:
        raise PaletteError(
            f"{sample.picture.identifier} has {len(sample.masks)} regions, and a PNG has no index "
            f"for more than {MOST_INDICES - 1}",
            "use --format coco",
        )
    canvas = np.zeros(sample.picture.size or (1, 1), np.uint8)
    for number, mask in sorted(enumerate(sample.masks, 1), key=lambda each: -each[1].rle.area):
        canvas[mask.rle.mask] = number
    return canvas


def _annotation(sample: Sample, placed: Placed) -> bytes:
    height, width = sample.picture.size or (0, 0)
    root = Element("annotation")
    SubElement(root, "folder").text = "JPEGImages"
    SubElement(root, "filename").text = placed.image
    source = SubElement(root, "source")
    SubElement(source, "database").text = "segstudio"
    SubElement(source, "annotation").text = sample.entry.annotation.annotator
    size = SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        SubElement(size, name).text = str(value)
    SubElement(root, "segmented").text = str(int(bool(sample.masks)))
    for mask in sample.masks:
        _add_object(root, mask)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8")
    return text


def _add_object(root: Element, mask: MaskRegion) -> None:
    """Add the object of a region, with its last label, which is the painted one."""
    left, top, width, height = mask.rle.bbox
    found = SubElement(root, "object")
    SubElement(found, "name").text = mask.region.names[-1]
    for name, value in (("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
        SubElement(found, name).text = value
    box = SubElement(found, "bndbox")
    # VOC counts pixels from 1, and includes the last one.
    edges = {"xmin": left + 1, "ymin": top + 1, "xmax": left + width, "ymax": top + height}
    for name, edge in edges.items():
        SubElement(box, name).text = str(edge)


def _colors(output: Output) -> Iterator[tuple[str, str, str]]:
    for index, label, _ in output.palette.rows():
        yield index, label, ",".join(map(str, output.palette.colors[int(index)]))
