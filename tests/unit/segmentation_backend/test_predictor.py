import base64
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from ml_backend.deadline import Deadline
from ml_backend.errors import BusyError, ImageError, LabelConfigError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.control_tasks import CONTROL
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Task
from segmentation_backend.models.base import ClassMap, Instance
from segmentation_backend.models.things import class_instances
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings
from tests.support.http_server import Reply, Request, Server
from tests.support.text_models import ByName

SETTINGS = RegionSettings(min_region_fraction=0.001)


class ByColour:
    """Red is a dress, green a hat, blue skin: a model whose right answer anyone can see."""

    version = "by-colour"
    classes = ("background", "dress", "hat", "skin")

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        scores = np.array([0, 0.9, 0.6, 0.4], "f4")
        maps = [ClassMap(self._indices(image), scores) for image in images]
        return [class_instances(each, self.classes) for each in maps]

    def _indices(self, image: np.ndarray) -> np.ndarray:
        bright = image.max(axis=2) > 100
        indices: np.ndarray = np.where(bright, image.argmax(axis=2) + 1, 0).astype(np.uint8)
        return indices


@pytest.fixture
def predictor(tmp_path: Path) -> SegmentationPredictor:
    return SegmentationPredictor(
        ByColour(), ImageSource(ImageSettings(image_cache_dir=tmp_path)), SETTINGS
    )


def picture() -> np.ndarray:
    image = np.zeros((120, 80, 3), np.uint8)
    image[40:100, 20:60, 0] = 255
    image[5:20, 30:50, 1] = 255
    image[21:30, 30:50, 2] = 255
    image[110, 70, 0] = 255  # a speck
    return image


def task(image: np.ndarray, **more: Any) -> Task:
    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "PNG", **more)
    return Task(
        id=1, data={"image": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()}
    )


def config(control: str, labels: str = "dress hat bag-belt") -> LabelConfig:
    inner = "".join(f'<Label value="{label}"/>' for label in labels.split())
    brush = f'<{control} name="c" toName="photo">{inner}</{control}>'
    return parse_label_config(f'<View><Image name="photo" value="$image"/>{brush}</View>')


def predict(
    predictor: SegmentationPredictor,
    *tasks: Task,
    label_config: LabelConfig,
    context: Context | None = None,
) -> list[Any]:
    deadline = Deadline.after(60)
    return list(predictor.predict(tasks, context, label_config=label_config, deadline=deadline))


def test_all_brushes_of_the_image_get_their_labels(predictor: SegmentationPredictor) -> None:
    brushes = "".join(
        f'<BrushLabels name="{name}" toName="photo">{labels}</BrushLabels>'
        for name, labels in {
            "marks": '<Label value="scratch"/>',
            "clothes": '<Label value="dress"/>',
            "more": '<Label value="hat"/><Label value="dress"/>',
        }.items()
    )
    both = parse_label_config(f'<View><Image name="photo" value="$image"/>{brushes}</View>')
    predictor.check(both)
    (answer,) = predict(predictor, task(picture()), label_config=both)
    found = [(region.from_name, region.value["brushlabels"]) for region in answer.result]
    assert found == [("clothes", ["dress"]), ("more", ["hat"])]


def test_each_garment_is_one_brush_region_with_its_label_and_score(
    predictor: SegmentationPredictor,
) -> None:
    (answer,) = predict(predictor, task(picture()), label_config=config("BrushLabels"))
    found = {region.value["brushlabels"][0]: region for region in answer.result}
    assert set(found) == {"dress", "hat"}
    assert {label: round(region.score, 2) for label, region in found.items()} == {
        "dress": 0.9,
        "hat": 0.6,
    }
    assert answer.score == pytest.approx(0.75)
    assert answer.model_version == predictor.model_version
    expected = picture()[:, :, 0] > 0
    expected[110, 70] = False
    assert np.array_equal(decode_rle(found["dress"].value["rle"], 120, 80), expected)


def one_label_for(classes: str) -> LabelConfig:
    label = f'<Label value="clothes" predicted_values="{classes}"/>'
    brush = f'<BrushLabels name="c" toName="photo">{label}</BrushLabels>'
    return parse_label_config(f'<View><Image name="photo" value="$image"/>{brush}</View>')


def merging(folder: Path) -> SegmentationPredictor:
    images = ImageSource(ImageSettings(image_cache_dir=folder))
    merged = RegionSettings(min_region_fraction=0.001, regions="merged")
    return SegmentationPredictor(ByColour(), images, merged)


def test_merged_classes_of_one_label_are_one_region_with_the_mean_of_their_scores(
    predictor: SegmentationPredictor, tmp_path: Path
) -> None:
    pixels = picture()
    (answer,) = predict(merging(tmp_path), task(pixels), label_config=one_label_for("dress,hat"))
    (region,) = answer.result
    apart = predict(predictor, task(pixels), label_config=config("BrushLabels"))[0].result
    dress, hat = (
        decode_rle(r.value["rle"], 120, 80)
        for r in sorted(apart, key=lambda r: str(r.value["brushlabels"]))
    )
    assert np.array_equal(decode_rle(region.value["rle"], 120, 80), dress | hat)
    areas = [dress.sum() + 1, hat.sum()]  # the speck that is dropped had its say in the score
    assert region.score == pytest.approx(np.average([0.9, 0.6], weights=areas), abs=1e-3)


def test_classes_of_one_label_are_regions_of_their_own_unless_they_touch(
    predictor: SegmentationPredictor,
) -> None:
    touching = picture()
    touching[30:40, 30:50, 2] = 255  # skin from the hat to the dress
    found = [
        len(predict(predictor, task(pixels), label_config=one_label_for(classes))[0].result)
        for pixels in (picture(), touching)
        for classes in ("dress,hat", "dress,hat,skin")
    ]
    assert found == [2, 3, 2, 2]


@pytest.mark.parametrize(
    ("control", "kind"), [("PolygonLabels", "points"), ("RectangleLabels", "width")]
)
def test_without_a_brush_polygons_or_boxes_come(
    predictor: SegmentationPredictor, control: str, kind: str
) -> None:
    (answer,) = predict(predictor, task(picture()), label_config=config(control))
    assert len(answer.result) == 2
    assert all(kind in region.value for region in answer.result)


def test_a_rotated_photograph_is_answered_upright(predictor: SegmentationPredictor) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # the camera was turned: shown 90 degrees clockwise
    stored = np.ascontiguousarray(np.rot90(picture()))
    (answer,) = predict(predictor, task(stored, exif=exif), label_config=config("BrushLabels"))
    (dress,) = [r for r in answer.result if r.value["brushlabels"] == ["dress"]]
    assert (dress.original_width, dress.original_height) == (80, 120)
    assert decode_rle(dress.value["rle"], 120, 80)[40:100, 20:60].all()


def test_an_empty_photograph_gets_an_empty_prediction(predictor: SegmentationPredictor) -> None:
    nothing = np.zeros((30, 30, 3), np.uint8)
    (answer,) = predict(predictor, task(nothing), label_config=config("BrushLabels"))
    assert answer == Prediction(result=[], score=0, model_version=predictor.model_version)


def test_a_broken_image_does_not_disturb_its_neighbours(predictor: SegmentationPredictor) -> None:
    bad = [
        Task(id=2, data={}),
        Task(id=3, data={"image": 7}),
        Task(id=4, data={"image": "data:image/png;base64,AAAA"}),
    ]
    answers = predict(
        predictor, task(picture()), *bad, task(picture()), label_config=config("BrushLabels")
    )
    assert [isinstance(a, Prediction) for a in answers] == [True, False, False, False, True]
    assert all(isinstance(a, ImageError) for a in answers[1:4])


def test_a_click_is_left_to_the_sam_backend(predictor: SegmentationPredictor) -> None:
    context = Context("dress", "photo")
    assert predict(
        predictor, task(picture()), label_config=config("BrushLabels"), context=context
    ) == [None]


def test_a_config_without_a_label_the_model_knows_is_refused(
    predictor: SegmentationPredictor,
) -> None:
    with pytest.raises(LabelConfigError, match="the model knows dress, hat, skin"):
        predictor.check(config("BrushLabels", "car road"))
    predictor.check(config("BrushLabels", "car hat"))


class Photographs(Server):
    """Serves one picture under every name, and tells of each request."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        super().__init__()

    def reply(self, _request: Request) -> Reply:
        with self.changed:
            self.changed.notify_all()
        file = io.BytesIO()
        PillowImage.fromarray(picture()).save(file, "PNG")
        return Reply(200, file.getvalue(), {"Content-Type": "image/png"})


def source(photographs: Photographs, folder: Path) -> ImageSource:
    """Images from there alone, none of them kept."""
    hosts = (photographs.host,)
    settings = ImageSettings(image_cache_dir=folder, image_cache_mb=0, allowed_image_hosts=hosts)
    return ImageSource(settings)


def test_the_next_images_are_fetched_while_one_is_with_the_model(tmp_path: Path) -> None:
    class Waiting(ByColour):
        """Gives no answer before the images of two more tasks are asked for."""

        def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
            with photographs.changed:
                assert photographs.changed.wait_for(lambda: len(photographs.paths) > 2, 30)
            return super().segment(images)

    with Photographs() as photographs:
        url, images = photographs.url, source(photographs, tmp_path)
        tasks = [Task(id=n, data={"image": f"{url}/{n}.png"}) for n in range(9)]
        predictor = SegmentationPredictor(Waiting(), images, SETTINGS)
        answers = predict(predictor, *tasks, label_config=config("BrushLabels"))
    assert all(isinstance(answer, Prediction) for answer in answers)
    assert sorted(photographs.paths) == [f"/{n}.png" for n in range(9)]


def test_who_stops_asking_lets_no_more_images_be_fetched(tmp_path: Path) -> None:
    with Photographs() as photographs:
        url, images = photographs.url, source(photographs, tmp_path)
        tasks = [Task(id=n, data={"image": f"{url}/{n}.png"}) for n in range(50)]
        predictor = SegmentationPredictor(ByColour(), images, SETTINGS)
        answers = predictor.predict(
            tasks, None, label_config=config("BrushLabels"), deadline=Deadline.after(60)
        )
        next(answers)
        del answers
    assert len(photographs.paths) < 10


def answer(predictor: SegmentationPredictor, xml: str, data: dict[str, Any]) -> Any:
    """The one answer of a batch of one task."""
    config = parse_label_config(xml)
    predictor.check(config)
    (found,) = predictor.predict(
        [Task(id=1, data=data)], None, label_config=config, deadline=Deadline.after(60)
    )
    return found


def png(image: np.ndarray) -> str:
    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_one_list_gives_each_region_its_label_in_a_second_result(
    predictor: SegmentationPredictor,
) -> None:
    xml = (
        '<View><Image name="i" value="$image"/><Labels name="l" toName="i">'
        '<Label value="dress"/><Label value="hat"/></Labels><Brush name="b" toName="i"/></View>'
    )
    found = answer(predictor, xml, {"image": png(picture())})
    pairs = [(r.id, r.from_name, r.type, r.value.get("labels")) for r in found.result]
    assert [pair[1:] for pair in pairs] == [
        ("b", "brush", None),
        ("l", "labels", ["dress"]),
        ("b", "brush", None),
        ("l", "labels", ["hat"]),
    ]
    assert pairs[0][0] == pairs[1][0] != pairs[2][0] == pairs[3][0]


def test_both_images_are_predicted_each_with_its_own_controls(
    predictor: SegmentationPredictor,
) -> None:
    xml = (
        '<View><Image name="a" value="$a"/><Image name="b" value="$b.url"/>'
        '<BrushLabels name="ma" toName="a"><Label value="dress"/></BrushLabels>'
        '<PolygonLabels name="mb" toName="b"><Label value="hat"/></PolygonLabels></View>'
    )
    found = answer(predictor, xml, {"a": png(picture()), "b": {"url": png(picture())}})
    assert [(r.from_name, r.to_name) for r in found.result] == [("ma", "a"), ("mb", "b")]


def test_one_control_of_two_images_is_predicted_on_both(predictor: SegmentationPredictor) -> None:
    xml = (
        '<View><Image name="a" value="$a"/><Image name="b" value="$b"/>'
        '<BrushLabels name="m" toName="a,b"><Label value="dress"/></BrushLabels></View>'
    )
    found = answer(predictor, xml, {"a": png(picture()), "b": png(picture()[:110])})
    assert [(r.to_name, r.original_height) for r in found.result] == [("a", 120), ("b", 110)]


PAGES = (
    '<View><Image name="i" valueList="$pages"/>'
    '<BrushLabels name="m" toName="i"><Label value="dress"/></BrushLabels></View>'
)


def test_every_page_is_predicted_and_says_which_it_is(predictor: SegmentationPredictor) -> None:
    found = answer(predictor, PAGES, {"pages": [png(picture()), png(picture()[:, :70])]})
    assert [(r.item_index, r.original_width) for r in found.result] == [(0, 80), (1, 70)]
    assert found.result[1].model_dump()["item_index"] == 1


def test_a_page_that_cannot_be_read_fails_its_task_and_no_other(
    predictor: SegmentationPredictor,
) -> None:
    config, good = parse_label_config(PAGES), png(picture())
    tasks = [
        Task(id=1, data={"pages": [good, "data:image/png;base64,AAAA", good]}),
        Task(id=2, data={}),
        Task(id=3, data={"pages": [good]}),
    ]
    answers = list(predictor.predict(tasks, None, label_config=config, deadline=Deadline.after(60)))
    assert isinstance(answers[0], ImageError)
    assert "'pages'" in str(answers[1])
    assert [r.item_index for r in answers[2].result] == [0]  # type: ignore[union-attr]


def test_labels_of_the_task_are_predicted(predictor: SegmentationPredictor) -> None:
    xml = (
        '<View><Image name="i" value="$image"/><Labels name="l" toName="i" value="$names"/>'
        '<Brush name="b" toName="i"/></View>'
    )
    found = answer(predictor, xml, {"image": png(picture()), "names": [{"value": "hat"}]})
    assert [r.value["labels"] for r in found.result if r.type == "labels"] == [["hat"]]


def test_a_control_task_gets_an_empty_prediction_between_others(
    predictor: SegmentationPredictor,
) -> None:
    plain = task(picture())
    control = Task(id=2, data={"image": "nowhere"}, meta={CONTROL: "true"})
    found = predict(predictor, plain, control, plain, label_config=config("BrushLabels"))
    assert [len(each.result) > 0 for each in found] == [True, False, True]
    assert found[1].model_version == predictor.model_version


@pytest.mark.parametrize(
    ("brush", "label", "shown"),
    [
        ("", "", ["dress", "hat"]),
        ('model_score_threshold="0.7"', "", ["dress"]),
        ('model_score_threshold="0.95"', "", []),
        ('model_score_threshold="0.95"', 'model_score_threshold="0.5"', ["hat"]),
        ("", 'model_score_threshold="0.7"', ["dress"]),
    ],
)
def test_a_region_below_the_threshold_of_label_control_or_settings_is_not_shown(
    predictor: SegmentationPredictor, brush: str, label: str, shown: list[str]
) -> None:
    found = predict(predictor, task(picture()), label_config=thresholds(brush, label))[0].result
    assert [region.value["brushlabels"][0] for region in found] == shown


def thresholds(brush: str, label: str) -> LabelConfig:
    """A dress of score 0.9 and a hat of 0.6; ``label`` is the hat's."""
    return parse_label_config(
        '<View><Image name="photo" value="$image"/>'
        f'<BrushLabels name="c" toName="photo" {brush}>'
        f'<Label value="dress"/><Label value="hat" {label}/></BrushLabels></View>'
    )


@pytest.mark.parametrize("wrong", ["a lot", "1.5", "-1", "nan", ""])
def test_a_threshold_that_is_no_score_is_refused(
    predictor: SegmentationPredictor, wrong: str
) -> None:
    for brush, label in ((wrong, "0.5"), ("0.5", wrong)):
        config = thresholds(*(f'model_score_threshold="{each}"' for each in (brush, label)))
        with pytest.raises(LabelConfigError, match="is not a number from 0 to 1"):
            predictor.check(config)


def test_a_model_that_reads_text_is_asked_for_the_labels_whatever_they_are(
    tmp_path: Path,
) -> None:
    images = ImageSource(ImageSettings(image_cache_dir=tmp_path))
    predictor = SegmentationPredictor(ByName(), images, SETTINGS)
    assert predictor.reads_text
    labels = '<Label value="Robe" prompt="red"/><Label value="Green"/><Label value="car"/>'
    named = parse_label_config(
        '<View><Image name="photo" value="$image"/>'
        f'<BrushLabels name="c" toName="photo">{labels}</BrushLabels></View>'
    )
    predictor.check(named)
    assert predictor.classes == ()
    (answer,) = predict(predictor, task(picture()), label_config=named)
    found = [region.value["brushlabels"] for region in answer.result]
    assert found == [["Robe"], ["Green"]]
    assert answer.model_version == "segmentation-by-name"


@pytest.fixture
def reader(tmp_path: Path) -> SegmentationPredictor:
    return SegmentationPredictor(
        ByName(), ImageSource(ImageSettings(image_cache_dir=tmp_path)), SETTINGS
    )


def coding(choices: str, attributes: str = "", more: str = "") -> LabelConfig:
    control = f'<Choices name="c" toName="photo" {attributes}>{choices}</Choices>'
    return parse_label_config(f'<View><Image name="photo" value="$image"/>{control}{more}</View>')


THINGS = (
    '<Choice value="Dress" prompt="blue dress; red dress"/><Choice value="Hat" prompt="green hat"/>'
    '<Choice value="Car" prompt="car"/><Choice value="Other"/>'
)


@pytest.mark.parametrize(
    ("attributes", "expected"), [('choice="multiple"', ["Dress", "Hat"]), ("", ["Dress"])]
)
def test_choices_with_a_prompt_are_predicted_where_what_they_name_is_there(
    reader: SegmentationPredictor, attributes: str, expected: list[str]
) -> None:
    config = coding(THINGS, attributes)
    assert reader.check(config) == ""
    (answer,) = predict(reader, task(picture()), label_config=config)
    (region,) = answer.result
    assert (region.from_name, region.to_name, region.type) == ("c", "photo", "choices")
    assert region.value == {"choices": expected}
    assert region.score == pytest.approx(0.9)


def test_choices_come_with_the_masks(reader: SegmentationPredictor) -> None:
    brush = '<BrushLabels name="b" toName="photo"><Label value="red"/></BrushLabels>'
    (answer,) = predict(reader, task(picture()), label_config=coding(THINGS, more=brush))
    assert [region.type for region in answer.result] == ["brushlabels", "choices"]


def test_choices_that_nothing_speaks_for_stay_open(reader: SegmentationPredictor) -> None:
    (answer,) = predict(
        reader, task(picture()), label_config=coding('<Choice value="Car" prompt="car"/>')
    )
    assert answer.result == []


@pytest.mark.parametrize(
    ("choices", "attributes"), [('<Choice value="red"/>', ""), (THINGS, 'perRegion="true"')]
)
def test_choices_without_a_prompt_or_of_a_region_are_not_asked_for(
    reader: SegmentationPredictor, choices: str, attributes: str
) -> None:
    with pytest.raises(LabelConfigError, match="takes masks"):
        reader.check(coding(choices, attributes))


def test_another_model_answers_no_choices(predictor: SegmentationPredictor) -> None:
    with pytest.raises(LabelConfigError, match="takes masks"):
        predictor.check(coding(THINGS))


def test_each_page_has_its_own_answer(reader: SegmentationPredictor) -> None:
    red, green = (np.zeros((40, 40, 3), np.uint8) for _ in "12")
    red[5:20, 5:20, 0] = 255
    green[5:20, 5:20, 1] = 255
    pages = Task(id=1, data={"image": [task(each).data["image"] for each in (red, green)]})
    config = parse_label_config(
        '<View><Image name="photo" valueList="$image"/>'
        f'<Choices name="c" toName="photo" perItem="true">{THINGS}</Choices></View>'
    )
    (answer,) = predict(reader, pages, label_config=config)
    found = [(region.item_index, region.value["choices"]) for region in answer.result]
    assert found == [(0, ["Dress"]), (1, ["Hat"])]


def test_a_model_out_of_gpu_memory_is_busy_and_serves_the_next_request(tmp_path: Path) -> None:
    class Full(ByColour):
        """Runs out of memory once."""

        fits = False

        def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
            if self.fits:
                return super().segment(images)
            self.fits = True
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    images = ImageSource(ImageSettings(image_cache_dir=tmp_path))
    predictor = SegmentationPredictor(Full(), images, SETTINGS)
    brush = config("BrushLabels")
    with pytest.raises(BusyError, match="out of GPU memory on an image of 80 x 120 pixels"):
        predict(predictor, task(picture()), label_config=brush)
    (answer,) = predict(predictor, task(picture()), label_config=brush)
    assert len(answer.result) == 2
