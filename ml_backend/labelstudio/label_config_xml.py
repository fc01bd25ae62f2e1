"""Parse the XML of a label config within limits, and convert its tags to values."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import cast
from xml.etree.ElementTree import Element, TreeBuilder

import defusedxml.ElementTree
from defusedxml.ElementTree import DefusedXMLParser

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.controls import Control, ImageTag, Label, MaskOptions

LONGEST = 500_000
"""Maximum characters of a label config: enough for thousands of labels."""

DEEPEST = 256
"""Maximum levels of nested tags, as in Label Studio's own parser."""

MOST_ATTRIBUTES = 100
"""Maximum attributes of a tag: several times as many as any tag of Label Studio has."""

_LABEL_TAGS = ("Label", "Choice", "Relation")


class PlacedTag(Element):
    """A tag with its position.

    Attributes:
        line: Line in the text, counted from 1.
        offset: Byte offset in the text, in UTF-8.
    """

    line: int = 0
    offset: int = 0

    def tags(self) -> "Iterator[PlacedTag]":
        """Yield this tag and all below it, in document order."""
        return (tag for tag in self.iter() if isinstance(tag, PlacedTag))


class _Parser(DefusedXMLParser):
    def _start(self, tag: str, attributes: list[str]) -> PlacedTag:
        element: PlacedTag = super()._start(tag, attributes)  # type: ignore[misc]
        element.line = self.parser.CurrentLineNumber
        element.offset = self.parser.CurrentByteIndex
        return element


def parse_xml(xml: str) -> PlacedTag:
    """Parse the XML of a label config, within limits.

    Raises:
        LabelConfigError: The text is not XML, declares entities, or is too long or too deep.
    """
    if len(xml) > LONGEST:
        raise LabelConfigError(f"the label config has more than {LONGEST} characters")
    try:
        parser = _Parser(target=TreeBuilder(element_factory=PlacedTag), forbid_dtd=True)
        parser.feed(xml)
        root = cast(PlacedTag, parser.close())
    except (defusedxml.ElementTree.ParseError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise LabelConfigError(f"the label config is not valid: {reason}") from error
    level: list[Element] = [root]
    for _ in range(DEEPEST):
        if any(len(tag.attrib) > MOST_ATTRIBUTES for tag in level):
            raise LabelConfigError(f"a tag has more than {MOST_ATTRIBUTES} attributes")
        level = [child for tag in level for child in tag]
    if level:
        raise LabelConfigError("the label config's tags are nested too deeply")
    return root


Tags = tuple[tuple[Control, ...], dict[str, ImageTag], dict[str, str], dict[str, int]]
"""Controls in document order, images by name, tag as written and line by name."""


def read_tags(root: Element) -> Tags:
    """Read the controls with their labels, the images and the names of a label config."""
    tags: dict[str, str] = {}
    lines: dict[str, int] = {}
    images: dict[str, ImageTag] = {}
    controls: dict[str, Element] = {}
    labels: dict[str, dict[str, Label]] = defaultdict(dict)

    def visit(tag: Element, owner: str) -> None:
        name = tag.get("name", "")
        if name:
            tags[name], lines[name] = tag.tag, getattr(tag, "line", 0)
        if tag.tag in _LABEL_TAGS:
            if owner and (label := _label(tag)):
                labels[owner][label.value] = label
        elif name and tag.get("toName") and tag.tag != "Filter":
            controls[name] = tag
            owner = name
        elif name and tag.tag == "Image" and (value := tag.get("valueList", tag.get("value"))):
            pages = "valueList" in tag.attrib
            images[name] = ImageTag(name, value.removeprefix("$"), pages, value, _attributes(tag))
        for child in tag:
            visit(child, owner)

    visit(root, "")
    found = tuple(
        _control(tag, to_name, tuple(labels[name].values()))
        for name, tag in controls.items()
        for to_name in tag.attrib["toName"].split(",")
    )
    return found, images, tags, lines


def _control(tag: Element, to_name: str, labels: tuple[Label, ...]) -> Control:
    attributes = _attributes(tag)
    return Control(
        name=tag.attrib["name"],
        type=tag.tag.lower(),
        to_name=to_name,
        labels=labels,
        smart_attribute=_smart(tag),
        multiple=tag.tag != "Choices" or tag.get("choice") == "multiple",
        dynamic=_dynamic(tag),
        options=_mask_options(attributes),
        attributes=attributes,
    )


def _dynamic(tag: Element) -> str:
    value = tag.get("value", "")
    listed = tag.tag.endswith("Labels") or tag.tag == "Choices"
    return value.removeprefix("$") if listed and value.startswith("$") else ""


def _mask_options(attributes: Mapping[str, str]) -> MaskOptions:
    """Parse a control's mask options; invalid numbers are ignored (lint reports them)."""

    def number(name: str, least: float) -> float | None:
        try:
            value = float(attributes.get(name, ""))
        except ValueError:
            return None
        return value if least <= value < math.inf else None

    points = number("max_points", 3)
    return MaskOptions(
        exclusive=attributes.get("exclusive", "").lower() == "true",
        polygon_tolerance=number("polygon_tolerance", 0),
        max_points=None if points is None else int(points),
    )


def _label(tag: Element) -> Label | None:
    value = tag.get("alias") or tag.get("value")
    if not value:
        return None
    predicted = (part.strip() for part in tag.get("predicted_values", "").split(","))
    background = tag.get("background", "")
    return Label(
        value,
        tuple(filter(None, predicted)),
        background,
        _smart(tag) is True,
        hotkey=tag.get("hotkey", ""),
        line=getattr(tag, "line", 0),
        attributes=_attributes(tag),
    )


def _attributes(tag: Element) -> dict[str, str]:
    return {name.lower(): value for name, value in tag.attrib.items()}


def _smart(tag: Element) -> bool | None:
    """Return the ``smart`` attribute of a tag; the case of its name is ignored."""
    attributes = _attributes(tag)
    if attributes.get("smartonly", "").lower() == "true":
        return True
    return {"true": True, "false": False}.get(attributes.get("smart", "").lower())
