"""What annotations teach, and what they do not."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import TaskError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.annotations import AnnotationReader
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import parse_label_config
from segmentation_backend.learning.example import IGNORE, LearningSet
from segmentation_backend.learning.examples import ExampleReader, Unlabelled
from tests.support.drawn import (
    CONFIG,
    HEIGHT,
    WIDTH,
    Entry,
    box,
    brush,
    point,
    polygon,
    rectangle_mask,
)
from tests.support.label_studio_server import TOKEN, LabelStudioServer, annotation, task

LATER = "2026-11-24T02:53:55.509426Z"
DRESS = rectangle_mask(10, 10, 20, 20)
HAT = rectangle_mask(14, 14, 4, 4)


class Drops:
    """Keeps what a run reports as left out."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, text: str, done: int, total: int) -> None:
        pass

    def drop(self, identity: str, reason: str) -> None:
        self.lines.append(f"{identity}: {reason}")


@pytest.fixture
def label_studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server


class Bench:
    """A project that is read."""

    def __init__(self, server: LabelStudioServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.progress = Drops()

    def add(self, *annotations: dict[str, Any], size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
        picture = io.BytesIO()
        shade = 40 + len(self.server.projects)
        Image.fromarray(np.full((*size, 3), shade, np.uint8)).save(picture, "PNG")
        reference = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
        each = task("1.png", *annotations)
        each["data"]["image"] = reference
        if not self.server.projects:
            self.server.add(CONFIG)
        self.server.projects[3].add([each])

    def read(
        self, config: str = CONFIG, unlabelled: Unlabelled = "background"
    ) -> tuple[LearningSet, str]:
        images = ImageSource(ImageSettings(image_cache_dir=self.folder / "images"))
        with LabelStudio(self.server.url, TOKEN) as client:
            reader = ExampleReader(
                AnnotationReader(client), images, self.folder / "masks", unlabelled
            )
            return reader.read(client.project(3), parse_label_config(config), self.progress)

    def mask(self, **options: Any) -> np.ndarray:
        (example,) = self.read(**options)[0].examples
        pixels, indices = example.load()
        assert pixels.shape[:2] == indices.shape
        return indices


@pytest.fixture
def bench(label_studio: LabelStudioServer, tmp_path: Path) -> Bench:
    return Bench(label_studio, tmp_path)


def drawn(*result: Entry, **more: Any) -> dict[str, Any]:
    return annotation(1, *result, **more)


def test_the_smaller_region_is_on_top_and_the_rest_is_background(bench: Bench) -> None:
    bench.add(drawn(brush("b", "hat", HAT), brush("a", "dress", DRESS)))
    data, _ = bench.read()
    assert data.labels == ("background", "dress", "hat", "bag")
    indices = bench.mask()
    assert np.array_equal(indices == 2, HAT)
    assert np.array_equal(indices == 1, DRESS & ~HAT)
    assert np.array_equal(indices == 0, ~DRESS)
    assert data.examples[0].labels == ("hat", "dress")
    assert data.examples[0].annotators == ("anna@example.org",)


def test_pixels_in_no_region_are_unknown_where_that_is_asked_for(bench: Bench) -> None:
    bench.add(drawn(brush("a", "dress", DRESS)))
    indices = bench.mask(unlabelled="ignore")
    assert np.array_equal(indices == IGNORE, ~DRESS)


def test_each_mask_control_teaches_and_prompts_left_behind_do_not(bench: Bench) -> None:
    outline = polygon("p", "dress", (2, 2), (8, 2), (8, 8), (2, 8))
    bench.add(
        drawn(brush("a", "hat", HAT), outline, box("x", "dress", 30, 0, 9, 9), point("y", "dress"))
    )
    indices = bench.mask()
    assert (indices[2:8, 2:8] == 1).all()
    assert not indices[:9, 30:].any()


def test_boxes_teach_where_nothing_finer_can_be_drawn(bench: Bench) -> None:
    config = """<View><Image name="image" value="$image"/>
        <RectangleLabels name="box" toName="image"><Label value="dress"/></RectangleLabels>
        </View>"""
    bench.add(drawn(box("x", "dress", 30, 10, 9, 9)))
    assert np.array_equal(bench.mask(config=config) == 1, rectangle_mask(30, 10, 9, 9))


def test_the_newest_annotation_of_an_annotator_counts(bench: Bench) -> None:
    old = annotation(1, brush("a", "dress", DRESS))
    new = annotation(2, brush("a", "dress", HAT), at=LATER)
    bench.add(old, new)
    assert np.array_equal(bench.mask() == 1, HAT)


def test_pixels_on_which_two_annotators_differ_are_unknown(bench: Bench) -> None:
    bench.add(
        annotation(1, brush("a", "dress", DRESS), by=1),
        annotation(2, brush("a", "dress", DRESS & ~HAT), by=2),
    )
    indices = bench.mask()
    assert np.array_equal(indices == IGNORE, HAT)
    assert np.array_equal(indices == 1, DRESS & ~HAT)


def test_skipped_tasks_and_untouched_predictions_teach_nothing(bench: Bench) -> None:
    bench.add(annotation(1, brush("a", "dress", DRESS), skipped=True))
    untouched = brush("a", "dress", DRESS) | {"origin": "prediction"}
    bench.add(annotation(2, untouched) | {"lead_time": None})
    bench.add()
    assert bench.read()[0].examples == []
    assert bench.progress.lines == []


def test_an_accepted_prediction_teaches_where_somebody_looked_at_it(bench: Bench) -> None:
    bench.add(annotation(1, brush("a", "dress", DRESS) | {"origin": "prediction"}))
    assert np.array_equal(bench.mask() == 1, DRESS)


def test_an_empty_annotation_teaches_background(bench: Bench) -> None:
    bench.add(drawn())
    assert not bench.mask().any()


def test_a_region_without_a_label_is_unknown(bench: Bench) -> None:
    nameless = brush("a", "dress", DRESS)
    nameless["value"]["brushlabels"] = []
    bench.add(drawn(nameless))
    assert np.array_equal(bench.mask() == IGNORE, DRESS)


def test_a_mask_of_another_size_than_the_image_is_one_line(bench: Bench) -> None:
    bench.add(drawn(brush("a", "dress", DRESS)), size=(33, 44))
    (example,) = bench.read()[0].examples
    with pytest.raises(TaskError, match="a mask of 60 x 40 on 44 x 33"):
        example.load()


def test_an_annotation_without_a_size_and_a_broken_image_are_one_line_each(bench: Bench) -> None:
    sizeless = brush("a", "dress", DRESS)
    del sizeless["original_width"]
    bench.add(annotation(7, sizeless))
    bench.add(drawn(brush("a", "dress", DRESS)))
    bench.server.projects[3].tasks[3_000_002]["data"]["image"] = "s3://bucket/a.png"
    bench.add(drawn(brush("a", "dress", DRESS)))
    assert len(bench.read()[0].examples) == 1
    first, second = bench.progress.lines
    assert first == "task 3000001: annotation 7: the size of its image is missing"
    assert second.startswith("task 3000002: s3://bucket/a.png")


def test_a_label_that_left_the_label_config_is_reported_and_its_pixels_are_unknown(
    bench: Bench,
) -> None:
    bench.add(drawn(brush("a", "dress", DRESS), brush("b", "hat", HAT)))
    bench.read()
    indices = bench.mask(config=CONFIG.replace('<Label value="hat"/>', '<Label value="cap"/>'))
    assert np.array_equal(indices == IGNORE, HAT)
    assert bench.progress.lines == [
        'label "hat": no longer in the label config; left out of 1 tasks'
    ]


def test_only_what_changed_is_read_again(bench: Bench) -> None:
    for number in range(3):
        bench.add(annotation(number, brush("a", "dress", DRESS)))
    _, first = bench.read()
    bench.server.requests.clear()
    _, same = bench.read()
    assert same == first
    asked = [request.query["include"] for request in bench.server.requests if request.query]
    assert not any("result" in include.split(",") for include in asked)

    changed = bench.server.projects[3].tasks[3_000_002]["annotations"][0]
    changed |= {"updated_at": LATER, "result": [brush("a", "hat", HAT)]}
    data, other = bench.read()
    assert other != first
    assert [each.labels for each in data.examples] == [("dress",), ("hat",), ("dress",)]


def test_a_deleted_annotation_is_forgotten(bench: Bench) -> None:
    bench.add(drawn(brush("a", "dress", DRESS)))
    bench.read()
    bench.server.projects[3].tasks[3_000_001]["annotations"].clear()
    assert bench.read()[0].examples == []
    assert list((bench.folder / "masks").iterdir()) == []


def test_labels_that_tasks_provide_are_those_that_were_drawn(bench: Bench) -> None:
    bench.add(drawn(brush("a", "sail", DRESS), brush("b", "kite", HAT)))
    config = """<View><Image name="image" value="$image"/>
      <BrushLabels name="mask" toName="image" value="$labels"><Label value="hull"/></BrushLabels>
    </View>"""
    data, _ = bench.read(config=config)
    assert data.labels == ("background", "kite", "sail", "hull")
    assert np.array_equal(bench.mask(config=config) == 1, HAT)
    assert bench.progress.lines == []
