"""What stands in a label config: images, controls and labels, as written."""

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
"""Shapes that a mask can become, and how faithful each is: the lowest rank is the best."""

PROMPT_SHAPES = ("keypoint", "rectangle")
"""Shapes whose smart tools send prompts that are answered."""


@dataclass(frozen=True)
class Label:
    """One label, or one choice, of a control.

    Attributes:
        value: What a region carries: the tag's ``alias`` if it has one, else its ``value``.
        predicted_values: Class names that the label's author says it stands for.
        background: Color as CSS writes it; empty without one.
        smart: Whether the tag itself says ``smart="true"``, which Label Studio ignores.
        hotkey: Key that chooses it; empty without one.
        line: Line of the tag in the label config; 0 where it comes from a task.
        attributes: Names in lower case → values, as written in the tag.
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
    """What a control asks for of the masks that it gets.

    Attributes:
        exclusive: Whether a suggestion leaves out what is labeled already.
        polygon_tolerance: Pixels by which an outline may deviate from the mask; None: default.
        max_points: Most corners of an outline; None: as many as the tolerance needs.
    """

    exclusive: bool = False
    polygon_tolerance: float | None = None
    max_points: int | None = None


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
        labels_from: Name of the ``<Labels>`` list that its labels come from; empty where they are
            its own.
        dynamic: Path in ``task.data`` of the labels that each task brings itself; empty without.
        options: What it asks for of masks.
        attributes: Names in lower case → values, as written in the tag.
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
        """What it draws: ``brush`` for Brush and BrushLabels; empty where it draws nothing."""
        shape = self.type.removesuffix("labels")
        return shape if shape in MASK_RANKS else ""

    @property
    def has_own_list(self) -> bool:
        """Whether labels are chosen in the tag itself (``BrushLabels``, ``Labels``)."""
        return self.type.endswith("labels")


@dataclass(frozen=True)
class ImageTag:
    """An ``<Image>``.

    Attributes:
        name: ``to_name`` of the results on it.
        key: Path in ``task.data`` that holds its reference: ``image``, ``photo.url``,
            ``images[0]``.
        pages: Whether the path holds the references of several pages (``valueList``).
        written: The attribute as written, ``$image``.
        attributes: Names in lower case → values, as written in the tag.
    """

    name: str
    key: str
    pages: bool = False
    written: str = field(default="", compare=False)
    attributes: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


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
