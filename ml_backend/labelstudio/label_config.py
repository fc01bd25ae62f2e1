"""A project's label config: its images, its controls with their labels, and whether it is served.

Every program reads label configs here: the backends at ``/setup`` and on each call, ``segstudio``
for its lint, its templates and its exports.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from xml.etree.ElementTree import Element

import defusedxml.ElementTree

from ml_backend.errors import LabelConfigError

LONGEST = 500_000
"""Characters of a label config: thousands of labels."""

DEEPEST = 256
"""Levels of nested tags, as many as Label Studio's own parser takes."""

MOST_ATTRIBUTES = 100
"""Attributes of a tag: several times as many as any tag of Label Studio has."""

MASK_CONTROLS = ("brushlabels", "polygonlabels", "rectanglelabels")
"""Control types that can hold a mask, the most faithful first."""

PROMPT_CONTROLS = ("keypointlabels", "rectanglelabels")
"""Control types whose smart tools send prompts that are answered."""

_SHAPES = ("brush", "bitmask", "keypoint", "rectangle", "polygon", "ellipse", "vector")
_DRAWING_CONTROLS = frozenset({"magicwand", *_SHAPES, *(f"{shape}labels" for shape in _SHAPES)})

_LABEL_TAGS = ("Label", "Choice", "Relation")


@dataclass(frozen=True)
class Label:
    """One label, or one choice, of a control.

    Attributes:
        value: What a region carries: the tag's ``alias`` if it has one, else its ``value``.
        predicted_values: Class names that the label's author says it stands for.
        background: Color as CSS writes it; empty without one.
        smart: Whether the tag itself says ``smart="true"``, which Label Studio ignores.
    """

    value: str
    predicted_values: tuple[str, ...] = ()
    background: str = ""
    smart: bool = False


@dataclass(frozen=True)
class Control:
    """A control tag and one of the tags that it is about.

    A tag with ``toName="a,b"`` is two controls of the same name.

    Attributes:
        name: ``from_name`` of its results.
        type: In lower case, as in results (``brushlabels``, ``choices``).
        to_name: ``to_name`` of its results.
        labels: In document order.
        smart_attribute: What the tag says of its smart tool, if anything.
        multiple: Whether several values may be chosen.
    """

    name: str
    type: str
    to_name: str
    labels: tuple[Label, ...]
    smart_attribute: bool | None = None
    multiple: bool = True

    @property
    def smart(self) -> bool:
        """Whether Label Studio 1.23.2 offers the tool as a smart one, as it does by default."""
        return self.smart_attribute is not False


@dataclass(frozen=True)
class ImageTag:
    """An ``<Image>``.

    Attributes:
        name: ``to_name`` of the results on it.
        key: Key in ``task.data`` that holds its reference.
    """

    name: str
    key: str


@dataclass(frozen=True)
class Problem:
    """A reason why a backend cannot serve a label config.

    Attributes:
        where: Name of the tag.
        text: What is wrong.
        fix: What to write instead.
    """

    where: str
    text: str
    fix: str


@dataclass(frozen=True)
class LabelConfig:
    """A parsed label config.

    Attributes:
        controls: In document order.
        images: By name, in document order.
        tags: Name of every named tag → the tag as written (``BrushLabels``).
        xml: The text it was parsed from.
    """

    controls: tuple[Control, ...]
    images: Mapping[str, ImageTag]
    tags: Mapping[str, str]
    xml: str = field(repr=False)

    def mask_controls(self, image: str | None = None) -> tuple[Control, ...]:
        """Return the controls that take an image's masks: all brushes, else polygons, else boxes.

        Args:
            image: Name of an image tag; by default, of the first one that has such controls.
        """
        if image is None:
            return next(iter(self._masks.values()), ())
        return self._masks.get(image, ())

    def mask_labels(self, image: str | None = None) -> tuple[Label, ...]:
        """Return the labels of ``mask_controls``."""
        return tuple(label for control in self.mask_controls(image) for label in control.labels)

    def smart_tools(self) -> tuple[Control, ...]:
        """Return the controls that labelers prompt with."""
        return tuple(c for c in self._labeled(PROMPT_CONTROLS) if c.smart)

    def lost_labels(self, tool: Control) -> list[str]:
        """Return the labels of a smart tool that no mask on its image can carry, in any case."""
        carried = self._carried.get(tool.to_name, frozenset())
        return [each.value for each in tool.labels if each.value.casefold() not in carried]

    def prompted_images(self) -> list[str]:
        """Return the names of the images on which a smart tool gets a mask, in document order."""
        tools = self.smart_tools()
        served = {t.to_name for t in tools if len(self.lost_labels(t)) < len(t.labels)}
        return [name for name in self.images if name in served]

    def wrong_targets(self) -> list[Problem]:
        """Return a problem for each ``toName`` that names no tag, or nothing to draw on."""
        image = next(iter(self.images), None)
        fix = f'toName="{image}"' if image else 'add <Image name="image" value="$image"/>'
        problems = []
        for control in self.controls:
            target = self.tags.get(control.to_name)
            if target is None:
                text = f'toName="{control.to_name}" names no tag'
                problems.append(Problem(control.name, text, fix))
            elif control.type in _DRAWING_CONTROLS and target != "Image":
                text = f'toName="{control.to_name}" is a {target}; it draws on an Image'
                problems.append(Problem(control.name, text, fix))
        return problems

    def problems_for_masks(self) -> list[Problem]:
        """Return why masks cannot become regions; nothing where they can."""
        if problems := self.wrong_targets():
            return problems
        if self.mask_controls():
            return []
        text = "no BrushLabels, PolygonLabels or RectangleLabels control takes masks"
        example = brush_example(next(iter(self.images), "image"))
        return [Problem("View", text, f"add e.g. {example}")]

    def problems_for_prompts(self) -> list[Problem]:
        """Return why no prompt can be answered with a mask; nothing where one can."""
        problems = self.problems_for_masks()
        if problems or self.prompted_images():
            return problems
        mask = self.mask_controls()[0]
        text = "no smart KeyPointLabels or RectangleLabels on the same image shares a label with it"
        box = f'<RectangleLabels name="box" toName="{mask.to_name}" smart="true">'
        return [Problem(mask.name, text, f"add e.g. {box} with the same <Label> tags")]

    @cached_property
    def _masks(self) -> Mapping[str, tuple[Control, ...]]:
        """Mask controls by image, the images with the most faithful ones first."""
        found: dict[str, list[Control]] = {}
        for type_ in MASK_CONTROLS:
            for control in self._labeled((type_,)):
                same = found.setdefault(control.to_name, [control])
                if same[0].type == type_ and same[-1] is not control:
                    same.append(control)
        return {image: tuple(controls) for image, controls in found.items()}

    @cached_property
    def _carried(self) -> Mapping[str, frozenset[str]]:
        """Labels that masks can carry, case-folded, by image."""
        return {
            image: frozenset(label.value.casefold() for label in self.mask_labels(image))
            for image in self._masks
        }

    def _labeled(self, types: Iterable[str]) -> list[Control]:
        """Return the controls of these types that have labels and are on an image."""
        return [
            c for c in self.controls if c.type in types and c.labels and c.to_name in self.images
        ]


def brush_example(image: str) -> str:
    """Return the tag that would take the masks of an image."""
    return f'<BrushLabels name="mask" toName="{image}" smart="false"> with <Label> tags'


def refuse(problems: Iterable[Problem]) -> None:
    """Raise LabelConfigError for the first problem, if there is one."""
    for problem in problems:
        raise LabelConfigError(f"{problem.where}: {problem.text}", problem.fix)


@lru_cache(maxsize=16)
def parse_label_config(xml: str, *, require_image: bool = True) -> LabelConfig:
    """Parse a label config as Label Studio sends it.

    Names, targets and labels are those that label-studio-sdk reads.

    Args:
        xml: The label config.
        require_image: Whether one without an image is refused.

    Raises:
        LabelConfigError: It is not XML, declares entities, is too long or too deep, or shows no
            image.
    """
    config = _read(parse_xml(xml), xml)
    if require_image and not config.images:
        raise LabelConfigError(
            "the label config shows no Image", 'add <Image name="image" value="$image"/>'
        )
    return config


def parse_xml(xml: str) -> Element:
    """Parse the XML of a label config, within limits.

    Raises:
        LabelConfigError: It is not XML, declares entities, or is too long or too deep.
    """
    if len(xml) > LONGEST:
        raise LabelConfigError(f"the label config has more than {LONGEST} characters")
    try:
        root: Element = defusedxml.ElementTree.fromstring(xml, forbid_dtd=True)
    except (defusedxml.ElementTree.ParseError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise LabelConfigError(f"the label config is not valid: {reason}") from error
    level = [root]
    for _ in range(DEEPEST):
        if any(len(tag.attrib) > MOST_ATTRIBUTES for tag in level):
            raise LabelConfigError(f"a tag has more than {MOST_ATTRIBUTES} attributes")
        level = [child for tag in level for child in tag]
    if level:
        raise LabelConfigError("the label config's tags are nested too deeply")
    return root


def _read(root: Element, xml: str) -> LabelConfig:
    tags: dict[str, str] = {}
    images: dict[str, ImageTag] = {}
    controls: dict[str, Element] = {}
    labels: dict[str, dict[str, Label]] = defaultdict(dict)

    def visit(tag: Element, owner: str) -> None:
        name = tag.get("name", "")
        if name:
            tags[name] = tag.tag
        if tag.tag in _LABEL_TAGS:
            if owner and (label := _label(tag)):
                labels[owner][label.value] = label
        elif name and tag.get("toName") and tag.tag != "Filter":
            controls[name] = tag
            owner = name
        elif name and tag.tag == "Image" and (value := tag.get("valueList", tag.get("value"))):
            images[name] = ImageTag(name, value.removeprefix("$"))
        for child in tag:
            visit(child, owner)

    visit(root, "")
    found = tuple(
        _control(tag, to_name, tuple(labels[name].values()))
        for name, tag in controls.items()
        for to_name in tag.attrib["toName"].split(",")
    )
    return LabelConfig(found, images, tags, xml)


def _control(tag: Element, to_name: str, labels: tuple[Label, ...]) -> Control:
    multiple = tag.tag != "Choices" or tag.get("choice") == "multiple"
    return Control(tag.attrib["name"], tag.tag.lower(), to_name, labels, _smart(tag), multiple)


def _label(tag: Element) -> Label | None:
    value = tag.get("alias") or tag.get("value")
    if not value:
        return None
    predicted = (part.strip() for part in tag.get("predicted_values", "").split(","))
    background = tag.get("background", "")
    return Label(value, tuple(filter(None, predicted)), background, _smart(tag) is True)


def _smart(tag: Element) -> bool | None:
    """Return what a tag says of its smart tool; attribute names count in any case."""
    values = {name.lower(): value.lower() for name, value in tag.attrib.items()}
    if values.get("smartonly") == "true":
        return True
    return {"true": True, "false": False}.get(values.get("smart", ""))
