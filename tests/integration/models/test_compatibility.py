"""Lint and both backends give one verdict on a label config."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.images import ImageSettings, ImageSource
from ml_backend.serving.app import create_app
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings, SegmentationSettings
from segstudio.labelstudio.compatibility import (
    IncompatibleConfigError,
    check_served,
    known_classes,
)
from segstudio.labelstudio.lint import lint
from segstudio.labelstudio.ml_backends import SAM3, SHIPPED, BackendPair
from tests.support.http_server import Server, json_reply
from tests.support.label_configs import label_configs
from tests.support.sam_calls import make_app, make_predictor
from tests.support.scenes import FillModel, wait_until
from tests.support.text_models import ColourConcepts

IMAGES = '<Image name="a" value="$a"/><Image name="b" value="$b"/>'
ON_TWO_IMAGES = f"""<View>{IMAGES}
<BrushLabels name="brush" toName="a" smart="false"><Label value="dress"/></BrushLabels>
<KeyPointLabels name="kp" toName="b" smart="true"><Label value="dress"/></KeyPointLabels></View>"""
SECOND_IMAGE_ALONE = f"""<View>{IMAGES}
<BrushLabels name="brush" toName="a" smart="false"><Label value="hat"/></BrushLabels>
<BrushLabels name="other" toName="b" smart="false"><Label value="dress"/></BrushLabels>
<KeyPointLabels name="kp" toName="b" smart="true"><Label value="dress"/></KeyPointLabels></View>"""

Backends = tuple[FlaskClient, FlaskClient]


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Backends:
    """The segmentation backend with the shipped network, and the sam backend."""
    folder = tmp_path_factory.mktemp("images")
    images = ImageSource(ImageSettings(image_cache_dir=folder))
    garments = SegmentationPredictor(EmbeddedGarmentModel.load(), images, RegionSettings())
    segmentation = create_app(lambda: garments, SegmentationSettings())
    wait_until(lambda: segmentation.test_client().get("/readyz").status_code == 200)
    sam = make_app(make_predictor(FillModel(), folder))
    return segmentation.test_client(), sam.test_client()


def refusals(backends: Backends, xml: str) -> list[bool]:
    """Whether each backend refuses a label config at /setup."""
    answers = [client.post("/setup", json={"schema": xml}) for client in backends]
    assert {answer.status_code for answer in answers} <= {200, 422}
    return [answer.status_code == 422 for answer in answers]


def errors(xml: str) -> list[tuple[str, str]]:
    return [(each.subject, each.detail) for each in lint(xml, SHIPPED) if each.status == "error"]


tools = ("BrushLabels", "BrushLabels", "PolygonLabels", "RectangleLabels", "KeyPointLabels")


pair = ("BrushLabels", "KeyPointLabels")


@given(xml=st.one_of(label_configs(), label_configs(tools), label_configs(pair)))
def test_lint_reports_an_error_where_a_backend_refuses(backends: Backends, xml: str) -> None:
    found = errors(xml)
    assert bool(found) == any(refusals(backends, xml)), found
    if found:
        with pytest.raises(IncompatibleConfigError):
            check_served(xml, SHIPPED)
    else:
        check_served(xml, SHIPPED)


def test_tools_on_an_image_without_masks_are_refused_by_lint_as_by_sam(backends: Backends) -> None:
    assert refusals(backends, ON_TWO_IMAGES) == [False, True]
    ((where, problem),) = errors(ON_TWO_IMAGES)
    assert where == "brush"
    assert "no smart KeyPointLabels or RectangleLabels on the same image" in problem


def test_tools_on_the_second_image_alone_are_served_by_lint_as_by_sam(backends: Backends) -> None:
    assert refusals(backends, SECOND_IMAGE_ALONE) == [False, False]
    assert errors(SECOND_IMAGE_ALONE) == []


def test_a_class_may_reach_any_brush_of_the_image(backends: Backends) -> None:
    xml = SECOND_IMAGE_ALONE.replace('name="brush" toName="a"', 'name="brush" toName="b"')
    xml = xml.replace('value="hat"', 'value="scratch"')
    assert refusals(backends, xml) == [False, False]
    assert errors(xml) == []


TYPED_ALONE = """<View><Image name="a" value="$a"/>
<BrushLabels name="brush" toName="a" smart="false"><Label value="dress"/></BrushLabels>
<TextArea name="prompt" toName="a"/></View>"""


@pytest.mark.parametrize("concepts", [None, ColourConcepts()], ids=["boxes", "text"])
def test_typed_prompts_alone_are_served_by_lint_as_by_sam(
    tmp_path: Path, concepts: ColourConcepts | None
) -> None:
    sam = make_app(make_predictor(FillModel(), tmp_path, concepts=concepts)).test_client()
    told = sam.get("/versions").get_json()
    classes = replace(SHIPPED, typed_prompts=told["text_prompts"])
    found = [each for each in lint(TYPED_ALONE, classes) if each.status == "error"]
    answer = sam.post("/setup", json={"schema": TYPED_ALONE})
    if concepts:
        assert answer.status_code == 200
        assert found == []
    else:
        (error,) = found
        assert answer.status_code == 422
        assert answer.get_json()["error"]["message"] == f"{error.subject}: {error.detail}"
        assert error.subject == "prompt"
        assert error.fix.startswith("set SAM_MODEL=sam3, or add e.g. <RectangleLabels")


@pytest.mark.parametrize(
    "change",
    [("<TextArea", '<TextArea smart="false"'), ("<TextArea", '<TextArea perRegion="true"')],
    ids=["not smart", "of a region"],
)
def test_a_text_that_label_studio_sends_to_no_backend_is_no_prompt(change: tuple[str, str]) -> None:
    found = [each for each in lint(TYPED_ALONE.replace(*change), SAM3) if each.status == "error"]
    assert [each.subject for each in found] == ["brush"]


@pytest.mark.parametrize(
    ("text_prompts", "served"), [(True, True), (False, False), (None, True)], ids=str
)
def test_connecting_asks_the_sam_backend_whether_it_reads_text(
    text_prompts: bool | None, served: bool
) -> None:
    """One that cannot be reached from here is asked by Label Studio."""
    garments = {"versions": ["g"], "classes": list(SHIPPED.names), "text_prompts": False}
    with Server() as segmentation, Server() as sam:
        segmentation.replies["/versions"] = json_reply(garments)
        if text_prompts is not None:
            sam.replies["/versions"] = json_reply(
                {"versions": ["s"], "classes": [], "text_prompts": text_prompts}
            )
        classes = known_classes(BackendPair(segmentation.url, sam.url))
    if served:
        check_served(TYPED_ALONE, classes)
    else:
        with pytest.raises(IncompatibleConfigError, match="finds nothing by text"):
            check_served(TYPED_ALONE, classes)


@pytest.mark.parametrize("target", ["nothing", "text"])
def test_a_wrong_target_is_refused_by_all(backends: Backends, target: str) -> None:
    text = '<Text name="text" value="$text"/>'
    more = f'<PolygonLabels name="wrong" toName="{target}"><Label value="hat"/></PolygonLabels>'
    xml = SECOND_IMAGE_ALONE.replace("</View>", f"{text}{more}</View>")
    assert refusals(backends, xml) == [True, True]
    assert [where for where, _ in errors(xml)] == ["wrong"]
