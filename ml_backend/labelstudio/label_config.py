"""A project's label config, reduced to what masks need: controls, their labels, their image."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree.ElementTree import tostring

import defusedxml.ElementTree
from defusedxml import DefusedXmlException
from label_studio_sdk._legacy.exceptions import LabelStudioXMLSyntaxErrorSentryIgnored
from label_studio_sdk.label_interface.control_tags import ControlTag
from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.errors import LabelConfigError

LONGEST = 500_000
"""Characters of a label config: thousands of labels."""

INVALID = (
    defusedxml.ElementTree.ParseError,
    DefusedXmlException,
    LabelStudioXMLSyntaxErrorSentryIgnored,
    ValueError,
)
"""What the parsers raise."""

MOST_ATTRIBUTES = 100
"""Of a tag: the SDK's parser takes time that grows with their square."""

MASK_CONTROLS = ("brushlabels", "polygonlabels", "rectanglelabels")
"""Control types that can hold a mask, the most faithful first."""


@dataclass(frozen=True)
class Label:
    """One label of a control.

    Attributes:
        value: What a region carries: the label's ``alias`` where it has one, else its ``value``.
        predicted_values: Class names that the label's author says it stands for.
    """

    value: str
    predicted_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Control:
    """A control tag.

    Attributes:
        name: ``from_name`` of its regions.
        type: In lower case, as in regions (``brushlabels``).
        to_name: Name of the image tag that it draws on.
        labels: In their order.
        smart: Whether Label Studio offers its tool as a smart one too; unless ``smart="false"``,
            it does (seen in 1.23.2).
    """

    name: str
    type: str
    to_name: str
    labels: tuple[Label, ...]
    smart: bool = True

    def has_label(self, value: str) -> bool:
        """Whether a region of this control may carry the label."""
        return any(label.value == value for label in self.labels)


@dataclass(frozen=True)
class LabelConfig:
    """The controls, in their order, that point at an ``<Image>``.

    Attributes:
        controls: Controls with labels, of any type.
        image_keys: Name of each image tag → the key in ``task.data`` that holds its reference.
        xml: What it was parsed from.
    """

    controls: tuple[Control, ...]
    image_keys: dict[str, str]
    xml: str = field(repr=False)

    def mask_control(self) -> Control:
        """The first of ``mask_controls``."""
        return self.mask_controls()[0]

    def mask_controls(self, to_name: str | None = None) -> tuple[Control, ...]:
        """The controls that take an image's masks: all brushes, else polygons, else boxes.

        Args:
            to_name: The image they must point at; the first that has any when None.

        Raises:
            LabelConfigError: There is none.
        """
        for kind in MASK_CONTROLS:
            found = [c for c in self.controls if c.type == kind and to_name in (None, c.to_name)]
            if found:
                return tuple(c for c in found if c.to_name == found[0].to_name)
        raise LabelConfigError(
            "no BrushLabels, PolygonLabels or RectangleLabels control on an Image",
            'add e.g. <BrushLabels name="brush" toName="image"> with <Label> tags',
        )


@lru_cache(maxsize=16)
def parse_label_config(xml: str) -> LabelConfig:
    """Parse a label config as Label Studio sends it.

    Raises:
        LabelConfigError: It is not XML, declares entities, is too long or too deep, or shows no
            image.
    """
    if len(xml) > LONGEST:
        raise LabelConfigError(f"the label config has more than {LONGEST} characters")
    interface = _parse(xml)
    image_keys = {
        tag.name: tag.value.removeprefix("$")
        for tag in interface.objects
        if tag.tag == "Image" and tag.value
    }
    if not image_keys:
        raise LabelConfigError(
            "the label config shows no Image", 'add <Image name="image" value="$image"/>'
        )
    controls = tuple(
        Control(tag.name, tag.tag.lower(), to_name, _labels(tag.labels_attrs or {}), _smart(tag))
        for tag in interface.controls
        for to_name in tag.to_name[:1]
        if to_name in image_keys and tag.labels_attrs
    )
    return LabelConfig(controls, image_keys, xml)


def _parse(xml: str) -> LabelInterface:
    try:
        # The SDK's parser resolves entities and takes no declaration: it gets the safe tree's text.
        root = defusedxml.ElementTree.fromstring(xml, forbid_dtd=True)
        if any(len(tag.attrib) > MOST_ATTRIBUTES for tag in root.iter()):
            raise LabelConfigError(f"a tag has more than {MOST_ATTRIBUTES} attributes")
        return LabelInterface(tostring(root, encoding="unicode"))
    except RecursionError:
        raise LabelConfigError("the label config's tags are nested too deeply") from None
    except INVALID as error:
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise LabelConfigError(f"the label config is not valid: {reason}") from error


def _labels(tags: dict[str, object]) -> tuple[Label, ...]:
    return tuple(Label(value, _predicted_values(tag)) for value, tag in tags.items())


def _smart(tag: ControlTag) -> bool:
    attributes = {name.lower(): value.lower() for name, value in (tag.attr or {}).items()}
    return attributes.get("smart") != "false" or attributes.get("smartonly") == "true"


def _predicted_values(tag: object) -> tuple[str, ...]:
    text: str = getattr(tag, "attr", {}).get("predicted_values", "")
    return tuple(part.strip() for part in text.split(",") if part.strip())
