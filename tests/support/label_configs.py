"""Label configs as people write them, right and wrong, for property tests."""

from xml.etree.ElementTree import Element, SubElement, tostring

from hypothesis import strategies as st

LABELS = ("dress", "Dress", "hat", "car", "wheel & tyre")
CONTROLS = (
    *("BrushLabels", "PolygonLabels", "RectangleLabels", "KeyPointLabels", "EllipseLabels"),
    *("Brush", "Rectangle", "KeyPoint", "Labels", "Choices", "TextArea", "Rating", "Filter"),
)

LABELED_CONTROLS = (
    *("BrushLabels", "BitmaskLabels", "PolygonLabels", "VectorLabels", "EllipseLabels"),
    *("RectangleLabels", "KeyPointLabels", "Labels", "Labels", "Brush", "Bitmask", "Polygon"),
    *("Vector", "Ellipse", "Rectangle", "KeyPoint", "Rectangle", "KeyPoint", "Choices"),
    *("MagicWand", "TextArea"),
)
"""Controls of images, those that go together twice."""

LISTS = tuple(tag for tag in LABELED_CONTROLS if tag.endswith("Labels"))

OPTIONS = (
    *({"exemplar": "true"}, {"exclusive": "true"}, {"polygon_tolerance": "0"}),
    *({"polygon_tolerance": "x"}, {"max_points": "5"}, {"model_score_threshold": "0.2"}),
    {"model_score_threshold": "sure"},
)
"""Attributes of ours, two of them without a sense."""

VALUES = ("value", "valueList")
KNOWN = ("dress", "hat", "car")
"""Labels that the models of the tests know."""

smart = st.sampled_from(
    [{}, {"smart": "true"}, {"smart": "False"}, {"smart": "false", "smartOnly": "true"}]
)


@st.composite
def labels(draw: st.DrawFn) -> dict[str, str]:
    """Attributes of a label."""
    attributes = {"value": draw(st.sampled_from(LABELS))}
    for name, values in {
        "alias": ("dress", "auto"),
        "predicted_values": ("dress", "hat, skirt", " ,"),
        "background": ("#ff8000",),
        "smart": ("true",),
        "prompt": ("dress", "red; blue", " ; "),
    }.items():
        if draw(st.integers(0, 4)) == 0:
            attributes[name] = draw(st.sampled_from(values))
    return attributes


@st.composite
def label_configs(draw: st.DrawFn, controls: tuple[str, ...] = CONTROLS) -> str:
    """Up to three images, a text, and controls about them; names are unique, as everywhere."""
    root = Element("View")
    images = draw(st.sampled_from(["a", "ab", "ab", "abc", "ba", ""]))
    for number, name in enumerate(images):
        value = draw(st.sampled_from(VALUES))
        paths = (f"${name}_url", f"${name}_url", f"$photo.{name}", f"$list[{number}]")
        fixed = (f"https://h/${name}", "https://h/a.jpg", f"${name} url")
        path = draw(st.sampled_from([*paths * 3, *fixed]))
        SubElement(root, "Image", {"name": name, value: path})
    targets = [*list(images) * 9, "a,b", "text", "nothing"]
    SubElement(root, "Text", name="text", value="$text")
    for index in range(draw(st.integers(0, 7))):
        place = SubElement(root, "View") if draw(st.booleans()) else root
        tag = draw(st.sampled_from(controls))
        names = {"name": f"c{index}", "toName": draw(st.sampled_from(targets))}
        closable = {"closable": "true"} if tag.startswith("Vector") else {}
        ours = draw(st.sampled_from([*[{}] * len(OPTIONS), *OPTIONS]))
        dynamic = {"value": "$names"} if tag in LISTS and draw(st.integers(0, 5)) == 0 else {}
        control = SubElement(place, tag, names | closable | ours | dynamic | draw(smart))
        child = "Choice" if tag == "Choices" else "Label"
        for attributes in draw(st.lists(labels(), min_size=draw(st.integers(0, 2)), max_size=4)):
            inner = SubElement(control, "View") if draw(st.booleans()) else control
            SubElement(inner, child, attributes)
    return tostring(root, encoding="unicode")


MASKS = ("Brush", "Bitmask", "Polygon", "Vector", "Ellipse", "Rectangle")
EXTRAS = ("Brush", "Polygon", "MagicWand", "TextArea", "KeyPoint", "Rectangle", "Ellipse")
VALID_OPTIONS = tuple(each for each in OPTIONS if each != {"model_score_threshold": "sure"})


@st.composite
def fitting_configs(draw: st.DrawFn) -> str:
    """Up to three images, each with a mask control and a smart tool that share a label.

    Tools of two images may be one; labels are in lists of their own, in one list, or of the task.
    """
    root = Element("View")
    images = draw(st.sampled_from(["a", "a", "ab", "abc"]))
    for number, name in enumerate(images):
        path = draw(st.sampled_from([f"${name}_url", f"$photo.{name}", f"$list[{number}]"]))
        SubElement(root, "Image", {"name": name, draw(st.sampled_from(VALUES)): path})
    targets = [images.replace("", ",")[1:-1]] if draw(st.integers(0, 3)) == 0 else list(images)
    for number, target in enumerate(targets):
        _add_tools(draw, root, f"{number}", target)
    for index in range(draw(st.integers(0, 2))):
        extra = SubElement(root, draw(st.sampled_from(EXTRAS)), name=f"extra{index}")
        extra.attrib.update({"toName": draw(st.sampled_from(images)), **draw(smart)})
    return tostring(root, encoding="unicode")


def _add_tools(draw: st.DrawFn, root: Element, number: str, target: str) -> None:
    """Add a mask control and a smart tool on an image, or on several."""
    mask = draw(st.sampled_from(MASKS))
    tool = draw(st.sampled_from(["Rectangle", "KeyPoint"]))
    options = {**draw(st.sampled_from([{}, *VALID_OPTIONS]))}
    options |= {"closable": "true"} if mask == "Vector" else {}
    asked = draw(st.sampled_from([{}, {"smart": "true"}, {"smartOnly": "true"}]))
    form = draw(st.sampled_from(["own", "one", "task"]))
    own = "Labels" if form == "own" else ""
    options |= {"name": f"mask{number}", "toName": target}
    mask_tag = SubElement(root, f"{mask}{own}", options)
    tool_tag = SubElement(
        root, f"{tool}{own}", {"name": f"tool{number}", "toName": target, **asked}
    )
    lists = [mask_tag, tool_tag]
    if form != "own":
        lists = [SubElement(root, "Labels", name=f"labels{number}", toName=target)]
    if form == "task":
        lists[0].set("value", "$names")
    shared = draw(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=3, unique=True))
    for list_ in lists:
        for name in () if form == "task" else shared:
            SubElement(list_, "Label", value=name)
        for attributes in draw(st.lists(labels(), max_size=1)):
            SubElement(list_, "Label", attributes)
