"""Elements of a label config: images, controls and labels, as written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MASK_RANKS: Mapping[str, int] = {
    "brush": 0,
    "bitmask": 0,
    "polygon": 1,
    "vector": 2,
    "ellipse": 3,
    "rectangle": 4,
    "keypoint": 5,
}
"""Shapes that can represent a mask → how faithful each is; the lowest rank is the best."""

PROMPT_SHAPES = ("keypoint", "rectangle")
"""Shapes whose smart tools send prompts that are answered."""

TYPED_PROMPT = "prompt"
"""Name of the ``TextArea`` in which labelers type what to find."""


@dataclass(frozen=True)
class Label:
    """A label, or a choice, of a control.

    Attributes:
        value: Value that a region carries: the tag's ``alias`` if it has one, else its ``value``.
        predicted_values: Class names that the author maps to this label.
        background: Color in CSS notation; empty without one.
        smart: Whether the tag itself says ``smart="true"``, which Label Studio ignores.
        hotkey: Hotkey that selects the label; empty without one.
        line: Line of the tag in the label config; 0 if the label comes from a task.
        attributes: Attribute values as written, by name in lower case.
    """

    value: str
    predicted_values: tuple[str, ...] = ()
    background: str = ""
    smart: bool = False
    hotkey: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    attributes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class MaskOptions:
    """Options of a control for the masks that it receives.

    Attributes:
        exclusive: Whether suggestions exclude pixels that are already labeled.
        polygon_tolerance: Maximum deviation of an outline from the mask in pixels; None: default.
        max_points: Maximum number of corners of an outline; None: as many as the tolerance needs.
    """

    exclusive: bool = False
    polygon_tolerance: float | None = None
    max_points: int | None = None


@dataclass(frozen=True)
class Control:
    """A control tag and one of its target tags.

    A tag with ``toName="a,b"`` is two controls of the same name.

    Attributes:
        name: Name of the tag, ``from_name`` of its results.
        type: Type of the tag in lower case, as in results (``brushlabels``, ``choices``).
        to_name: Name of the target tag, ``to_name`` of its results.
        labels: Labels in document order.
        smart_attribute: Value of the ``smart`` attribute; None without.
        multiple: Whether several values may be chosen.
        labels_from: Name of the ``<Labels>`` list that provides its labels; empty if they are its
            own.
        dynamic: Path in ``task.data`` of per-task labels; empty without.
        options: Options for masks.
        attributes: Attribute values as written, by name in lower case.
    """

    name: str
    type: str
    to_name: str
    labels: tuple[Label, ...]
    smart_attribute: bool | None = None
    multiple: bool = True
    labels_from: str = ""
    dynamic: str = ""
    options: MaskOptions = MaskOptions()
    attributes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def smart(self) -> bool:
        """Whether Label Studio 1.23.2 offers the tool as a smart one, as it does by default."""
        return self.smart_attribute is not False

    @property
    def shape(self) -> str:
        """Shape that it draws: ``brush`` for Brush and BrushLabels; empty if it draws nothing."""
        shape = self.type.removesuffix("labels")
        return shape if shape in MASK_RANKS else ""

    @property
    def has_own_list(self) -> bool:
        """Whether labels are selected in the tag itself (``BrushLabels``, ``Labels``)."""
        return self.type.endswith("labels")


@dataclass(frozen=True)
class ImageTag:
    """An ``<Image>`` tag.

    Attributes:
        name: Name of the tag, ``to_name`` of the results on it.
        key: Path of the reference in ``task.data``: ``image``, ``photo.url``, ``images[0]``.
        pages: Whether the path leads to the references of several pages (``valueList``).
        written: Attribute as written, such as ``$image``.
        attributes: Attribute values as written, by name in lower case.
    """

    name: str
    key: str
    pages: bool = False
    written: str = field(default="", compare=False)
    attributes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Problem:
    """Reason why a backend cannot serve a label config.

    Attributes:
        where: Name of the tag.
        text: Description of the problem.
        fix: Suggested replacement.
    """

    where: str
    text: str
    fix: str
