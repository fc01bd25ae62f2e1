"""Every cell of the tables in ``docs/label-configs.md``, by both backends and the readers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.annotations import (
    AnnotatedTask,
    Annotation,
    Counts,
    LabeledProject,
)
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.region_pixels import region_rle
from ml_backend.labelstudio.results import Region, mask_shapes, parse_result
from segmentation_backend.learning.masks import MaskRule, unite
from segmentation_backend.models.base import Instance
from segmentation_backend.regions import RegionBuilder
from segmentation_backend.settings import RegionSettings
from segstudio.export.mask_regions import draw
from tests.support.any_config import (
    DISC,
    PICTURE,
    Backends,
    Disc,
    Json,
    fitting_data,
    prompts_of,
)
from tests.support.repository import ROOT
from tests.support.scenes import data_uri, disc_mask
from tests.support.text_models import ByName, ColourConcepts

TEXT = (ROOT / "docs" / "label-configs.md").read_text()
LABELS = '<Label value="dress"/><Label value="hat"/>'
TOOL = f'<RectangleLabels name="tool" toName="i">{LABELS}</RectangleLabels>'
IMAGE = '<Image name="i" value="$image"/>'


def table(title: str) -> dict[str, list[str]]:
    """First column → the other cells, of the first table below a heading."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {first: others for first, *others in cells}


CONTROLS, IMAGES, ATTRIBUTES = table("Controls"), table("Images"), table("Attributes")


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    return Backends(tmp_path_factory.mktemp("cache"))


def accepted(check: Callable[[LabelConfig], object], config: LabelConfig) -> bool:
    try:
        check(config)
    except LabelConfigError:
        return False
    return True


def regions(results: list[Json]) -> tuple[Region, ...]:
    return parse_result(results).regions


def annotated(config: LabelConfig, data: Json, results: list[Json]) -> AnnotatedTask:
    """A task whose only annotation is what was predicted or suggested."""
    tags = tuple(config.images.values())
    project = LabeledProject(1, "Project", config.controls, tags, (), Counts())
    now = datetime.now(UTC)
    annotation = Annotation(1, "anna", False, now, now, 5.0, tuple(results))
    return AnnotatedTask(1, project, data, {}, (annotation,))


def exported(task: AnnotatedTask) -> set[tuple[str, int]]:
    """Image tags and pages on which an export has masks."""
    drawings = draw(task, task.annotations[0], with_boxes=False)
    assert not any(each.problems for each in drawings)
    return {(each.picture.tag, each.picture.item) for each in drawings if each.masks}


def learned(task: AnnotatedTask) -> set[tuple[str, int]]:
    """Image tags and pages with pixels to learn from."""
    found = set()
    for picture in task.pictures:
        controls = [c for c in task.project.controls if c.to_name == picture.tag]
        shapes = mask_shapes(controls, with_boxes=False)
        mask, problems = unite(task, MaskRule(picture.tag, picture.item, shapes))
        assert not problems
        if mask and mask.indices is not None and mask.labels:
            found.add((picture.tag, picture.item))
    return found


# --- controls ---


def labeled(tag: str, more: str) -> str:
    return f'<{tag}Labels name="m" toName="i"{more}>{LABELS}</{tag}Labels>'


def listed(tag: str, more: str) -> str:
    return f'<Labels name="l" toName="i">{LABELS}</Labels><{tag} name="m" toName="i"{more}/>'


def holds(kind: str, shape: str, drawn: tuple[Region, ...]) -> bool:
    """Whether regions are what a cell says of the drawn disc."""
    disc = disc_mask(DISC)
    if not drawn or any(region.shape != shape for region in drawn):
        return False
    if kind == "a point inside":
        value = drawn[0].value
        return bool(disc[int(value["y"] * 0.96), int(value["x"] * 1.28)])
    found = region_rle(drawn[0]).mask
    iou = (found & disc).sum() / (found | disc).sum()
    least = {"the mask": 1, "the box around it": 0.7}.get(kind, 0.95)
    return bool(iou >= least)


SHAPES = [row for row in CONTROLS if not row.startswith("MagicWand")]


@pytest.mark.parametrize("form", [labeled, listed])
@pytest.mark.parametrize("row", SHAPES)
def test_what_each_control_takes(
    backends: Backends, row: str, form: Callable[[str, str], str]
) -> None:
    predict, prompt, export, learn = CONTROLS[row]
    tag = row.split(",")[0]
    more = ' closable="true"' if "closable" in row else ""
    own = "" if tag in ("Rectangle", "KeyPoint") else TOOL
    config = parse_label_config(f"<View>{IMAGE}{form(tag, more)}{own}</View>")
    data = fitting_data(config)

    predicted = regions(backends.predict(config, data))
    assert holds(predict, tag.lower(), predicted)
    assert predicted[0].labels == ("dress",)
    if prompt == "no":
        assert not accepted(backends.sam.check, config)
    else:
        suggested = regions(backends.click(config, data, *prompts_of(config, "i")))
        assert holds(prompt, tag.lower(), suggested)
        assert suggested[0].labels == ("dress",)
    alone = parse_label_config(f"<View>{IMAGE}{form(tag, more)}</View>")
    task = annotated(alone, data, backends.predict(alone, data))
    assert (bool(exported(task)), bool(learned(task))) == (export == "yes", learn == "yes")


def test_other_controls_take_nothing(backends: Backends) -> None:
    (row,) = [name for name in CONTROLS if name.startswith("MagicWand")]
    assert CONTROLS[row] == ["no"] * 4
    for tag in row.split(", "):
        config = parse_label_config(f'<View>{IMAGE}<{tag} name="m" toName="i"/></View>')
        assert not accepted(backends.segmentation.check, config)
        assert not accepted(backends.sam.check, config)


def test_masks_go_to_the_first_of_the_table() -> None:
    tags = [(row.split(",")[0], ' closable="true"' if "," in row else "") for row in SHAPES]
    for index, (first, more) in enumerate(tags[:-1]):
        inner = labeled(first, more)
        for second, other in tags[index + 1 :]:
            if {first, second} == {"Brush", "Bitmask"}:
                continue
            finer = labeled(second, other).replace('"m"', '"n"')
            config = parse_label_config(f"<View>{IMAGE}{finer}{inner}</View>")
            assert [control.name for control in config.mask_controls()] == ["m"]


# --- images ---

BRUSH = f'<BrushLabels name="m" toName="i">{LABELS}</BrushLabels>'
OTHER = (BRUSH + TOOL).replace('"i"', '"j"').replace('"m"', '"n"').replace('"tool"', '"tool2"')
SECOND = '<Image name="j" value="$second"/>'
DYNAMIC = (
    '<Labels name="l" toName="i" value="$labels"/><Brush name="m" toName="i"/>'
    '<Rectangle name="tool" toName="i"/>'
)
BOTH = (BRUSH + TOOL).replace('"i"', '"i,j"')
NESTED: Json = {"photo": {"url": PICTURE}, "images": [PICTURE]}


def image(attribute: str) -> str:
    return f'<Image name="i" {attribute}/>'


CASES: dict[str, tuple[str, Json, list[tuple[str, int]]]] = {
    '`value="$image"`': (IMAGE + BRUSH + TOOL, {"image": PICTURE}, [("i", 0)]),
    '`valueList="$images"`': (
        image('valueList="$images"') + BRUSH + TOOL,
        {"images": [PICTURE, PICTURE]},
        [("i", 0), ("i", 1)],
    ),
    "two images, each with its controls": (
        IMAGE + SECOND + BRUSH + TOOL + OTHER,
        {"image": PICTURE, "second": PICTURE},
        [("i", 0), ("j", 0)],
    ),
    '`toName="a,b"`': (
        IMAGE + SECOND + BOTH,
        {"image": PICTURE, "second": PICTURE},
        [("i", 0), ("j", 0)],
    ),
    '`<Labels value="$labels">`': (
        IMAGE + DYNAMIC,
        {"image": PICTURE, "labels": [{"value": "dress"}]},
        [("i", 0)],
    ),
    '`value="https://host/$photo"`': (image('value="https://host/$photo"') + BRUSH + TOOL, {}, []),
    '`value="https://host/a.jpg"`': (image('value="https://host/a.jpg"') + BRUSH + TOOL, {}, []),
}
PATHS = '`value="$photo.url"`, `value="$images[0]"`'
for path in PATHS.split(", "):
    CASES[path] = (image(path.strip("`")) + BRUSH + TOOL, NESTED, [("i", 0)])


@pytest.mark.parametrize("case", CASES)
def test_what_each_image_gets(backends: Backends, case: str) -> None:
    predict, prompt, export, learn = IMAGES[PATHS if case in PATHS else case]
    xml, data, places = CASES[case]
    config = parse_label_config(f"<View>{xml}</View>")
    if "refused" in (predict, prompt):
        assert not accepted(backends.segmentation.check, config)
        assert not accepted(backends.sam.check, config)
        assert (export, learn) == ("no", "no")
        return
    results = backends.predict(config, data)
    assert sorted({(r.to_name, r.item) for r in regions(results)}) == places
    names = dict.fromkeys(name for name, _ in places)
    config_of_task = config.for_task(data)
    for name in names:
        suggested = regions(backends.click(config, data, *prompts_of(config_of_task, name)))
        page = 1 if config.images[name].pages else 0
        assert {(r.to_name, r.item) for r in suggested} == {(name, page)}
    task = annotated(config, data, results)
    assert all(each.reference == PICTURE for each in task.pictures)
    assert sorted(exported(task)) == sorted(learned(task)) == places
    assert {export, learn} <= {"yes", "each page", "both"}


def test_every_image_of_the_table_is_tested() -> None:
    assert {PATHS if case in PATHS else case for case in CASES} == set(IMAGES)


# --- attributes ---


def outline(backends: Backends, attribute: str) -> Any:
    polygon = BRUSH.replace("BrushLabels", "PolygonLabels")
    polygon = polygon.replace('toName="i"', f'toName="i" {attribute}').replace("hat", "none")
    config = parse_label_config(f"<View>{IMAGE}{polygon}</View>")
    (region,) = regions(backends.predict(config, fitting_data(config)))
    return region


def tolerance_zero(backends: Backends) -> bool:
    read = region_rle(outline(backends, 'polygon_tolerance="0"')).mask
    return bool(np.array_equal(read, disc_mask(DISC)))


def few_points(backends: Backends) -> bool:
    return len(outline(backends, 'max_points="8"').value["points"]) <= 8


def exclusive(backends: Backends) -> bool:
    """Leave out what was suggested before: with a label of its own, nothing is left."""
    on = BRUSH.replace("name=", 'exclusive="true" name=', 1)
    config = parse_label_config(f"<View>{IMAGE}{on}{TOOL}</View>")
    (first,) = prompts_of(config, "i")
    other = first | {"id": "q", "value": first["value"] | {"rectanglelabels": ["hat"]}}
    found = [len(backends.click(config, fitting_data(config), each)) for each in (first, other)]
    return found == [1, 0]


def not_smart(backends: Backends) -> bool:
    off = TOOL.replace("name=", 'smart="false" name=', 1)
    return not accepted(backends.sam.check, parse_label_config(f"<View>{IMAGE}{BRUSH}{off}</View>"))


def predicted_label(backends: Backends, label: str) -> str:
    brush = f'<BrushLabels name="m" toName="i">{label}</BrushLabels>'
    config = parse_label_config(f"<View>{IMAGE}{brush}</View>")
    return regions(backends.predict(config, fitting_data(config)))[0].labels[0]


def unsure_label_is_hidden(backends: Backends) -> bool:
    """Show only the label whose threshold the score reaches; the model's scores are 1."""
    sure = '<Label value="dress"/><Label value="hat" model_score_threshold="1"/>'
    config = parse_label_config(f"<View>{IMAGE}{BRUSH.replace(LABELS, sure)}</View>")
    builder = RegionBuilder("v", Disc.classes, RegionSettings())
    found = [Instance.of(disc_mask(DISC), number, 0.9) for number in (1, 2)]
    return [r.value["brushlabels"] for r in builder.regions(found, config)] == [["dress"]]


EFFECTS: dict[str, Callable[[Backends], bool]] = {
    'exclusive="true"': exclusive,
    'polygon_tolerance="1.5"': tolerance_zero,
    'max_points="40"': few_points,
    'smart="false"': not_smart,
    'predicted_values="gown, robe"': lambda backends: (
        predicted_label(backends, '<Label value="Gown" predicted_values="dress, x"/>') == "Gown"
    ),
    'alias="coat"': lambda backends: (
        predicted_label(backends, '<Label value="Long" alias="hat"/>') == "hat"
    ),
    'model_score_threshold="0.4"': unsure_label_is_hidden,
}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_what_each_attribute_does(backends: Backends, attribute: str) -> None:
    assert EFFECTS[attribute.strip("`")](backends)


# --- text and examples ---

RED_SHOES = np.full((96, 128, 3), 30, np.uint8)
RED_SHOES[70:90, 10:30] = RED_SHOES[70:90, 50:70] = (220, 0, 0)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    return Backends(tmp_path_factory.mktemp("readers"), ByName(), ColourConcepts())


def shoes(backends: Backends, body: str, *prompts: Json) -> list[Json]:
    """What is predicted or suggested on a picture of two red shoes."""
    config = parse_label_config(f"<View>{IMAGE}{body}</View>")
    data = {"image": data_uri(RED_SHOES)}
    return backends.click(config, data, *prompts) if prompts else backends.predict(config, data)


def named(label: str) -> str:
    return BRUSH.replace(LABELS, label)


FIRST_SHOE: Json = {
    **{"id": "p", "from_name": "tool", "to_name": "i", "type": "rectanglelabels"},
    **{"original_width": 128, "original_height": 96},
    "value": {"x": 7, "y": 70, "width": 18, "height": 26, "rectanglelabels": ["dress"]},
}
TYPED: Json = {
    **{"id": "t", "from_name": "prompt", "to_name": "i", "type": "textarea"},
    "value": {"text": ["red shoes"]},
}
TEXTS: dict[str, tuple[str, str, list[Json]]] = {
    '`prompt="scarf; glove"` on a Label': (
        named('<Label value="dress" prompt="green; red"/>'),
        "prompt",
        [],
    ),
    '`prompt="runway"` on a Choice': (
        '<Choices name="c" toName="i"><Choice value="dress" prompt="red"/></Choices>'
        + named('<Label value="hat"/>'),
        "prompt",
        [],
    ),
    '`<TextArea name="prompt" …>`': (
        named('<Label value="dress" predicted_values="shoe"/>')
        + TOOL
        + '<TextArea name="prompt" toName="i"/>',
        "TextArea",
        [TYPED],
    ),
    '`exemplar="true"` on a Rectangle': (
        BRUSH + TOOL.replace("name=", 'exemplar="true" name='),
        "exemplar",
        [FIRST_SHOE],
    ),
}


@pytest.mark.parametrize("row", table("Text and examples"))
def test_what_a_model_that_reads_text_does(readers: Backends, row: str) -> None:
    body, attribute, prompts = TEXTS[row]
    found = shoes(readers, body, *prompts)
    if "Choice" in row:
        assert [each["value"] for each in found] == [{"choices": ["dress"]}]
        return
    assert [each["value"]["brushlabels"] for each in found] == [["dress"]] * 2
    if not prompts:
        assert shoes(readers, body.replace(attribute, "title")) == []


@pytest.mark.parametrize("row", TEXTS)
def test_other_models_do_not(backends: Backends, row: str) -> None:
    body, _, prompts = TEXTS[row]
    if prompts == [TYPED]:
        with pytest.raises(AssertionError, match="finds nothing by text"):
            shoes(backends, body, *prompts)
    elif prompts:
        assert len(shoes(backends, body, *prompts)) == 1, "an ordinary box"
    else:
        assert all(each["type"] != "choices" for each in shoes(backends, body))
