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
)
"""Controls of images, those that go together twice."""

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
    for name in images:
        value = draw(st.sampled_from(["value", "valueList"]))
        SubElement(root, "Image", {"name": name, value: f"${name}_url"})
    targets = [*list(images) * 9, "a,b", "text", "nothing"]
    SubElement(root, "Text", name="text", value="$text")
    for index in range(draw(st.integers(0, 7))):
        place = SubElement(root, "View") if draw(st.booleans()) else root
        tag = draw(st.sampled_from(controls))
        names = {"name": f"c{index}", "toName": draw(st.sampled_from(targets))}
        closable = {"closable": "true"} if tag.startswith("Vector") else {}
        ours = draw(st.sampled_from([{}, {}, {"exemplar": "true"}, {"exclusive": "true"}]))
        control = SubElement(place, tag, names | closable | ours | draw(smart))
        child = "Choice" if tag == "Choices" else "Label"
        for attributes in draw(st.lists(labels(), min_size=draw(st.integers(0, 2)), max_size=4)):
            inner = SubElement(control, "View") if draw(st.booleans()) else control
            SubElement(inner, child, attributes)
    return tostring(root, encoding="unicode")
