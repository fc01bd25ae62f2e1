"""Tasks of several images get in bulk what the backend answers for them."""

from pathlib import Path
from typing import Any

import pytest

from ml_backend.deadline import Deadline
from ml_backend.images import ImageSource
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.schemas import Prediction, Task
from segmentation_backend.predictor import SegmentationPredictor
from segstudio.predict import cluster, stages
from segstudio.predict.items import Item, Outcome
from segstudio.predict.pipeline import Pipeline
from tests.integration.predict.serial import without_ids
from tests.support import ray_models as models
from tests.support.ray_cluster import Ray
from tests.support.ray_pictures import fill

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

LABELS = '<Label value="dress"/><Label value="hat"/>'
BRUSH = f'<BrushLabels name="mask" toName="image">{LABELS}</BrushLabels>'
PAGES = f'<View><Image name="image" valueList="$images"/>{BRUSH}</View>'
TWO = f"""<View><Image name="a" value="$front"/><Image name="b" value="$photo.back"/>
<BrushLabels name="mask" toName="a,b">{LABELS}</BrushLabels></View>"""
DYNAMIC = """<View><Image name="image" value="$image"/>
<Labels name="label" toName="image" value="$labels"/><Brush name="mask" toName="image"/></View>"""


def bulk(folder: Path, config: str, tasks: list[dict[str, Any]]) -> list[Outcome]:
    """Predict tasks in blocks of two images, so that a task's images are apart."""
    settings = stages.backend_settings(local_files_document_root=folder)
    work = Pipeline(settings, config, cluster.Pool(1, 0, 1), models.load, block=2, portion=7)
    items = [Item(f"{number}", "", data) for number, data in enumerate(tasks)]
    found = {outcome.item.key: outcome for outcome in work.predict(items, work.model())}
    return [found[item.key] for item in items]


def one_by_one(folder: Path, config: str, tasks: list[dict[str, Any]]) -> list[Any]:
    """What the backend answers; None for an error."""
    settings = stages.backend_settings(local_files_document_root=folder)
    predictor = SegmentationPredictor(models.ByColour(), ImageSource(settings), settings)
    answers = predictor.predict(
        [Task(data=data) for data in tasks],
        None,
        label_config=parse_label_config(config),
        deadline=Deadline.after(600),
    )
    return [
        without_ids(answer.model_dump()) if isinstance(answer, Prediction) else None
        for answer in answers
    ]


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, list[str]]:
    """Six pictures, the last one broken, and how tasks name them."""
    names = fill(tmp_path / "pictures", 6, broken=(5,))
    return tmp_path / "pictures", [f"/data/local-files/?d={name}" for name in names]


def predictions(outcomes: list[Outcome]) -> list[Any]:
    return [each.prediction and without_ids(dict(each.prediction)) for each in outcomes]


def test_each_page_is_predicted_and_a_broken_one_is_named(
    joined: Ray, pictures: tuple[Path, list[str]]
) -> None:
    folder, image = pictures
    tasks: list[dict[str, Any]] = [
        {"images": image[:5]},
        {"images": ";".join(image[2:4])},
        {"images": [image[0], image[5]]},
        {"images": []},
        {"images": [image[4]]},
    ]
    outcomes = bulk(folder, PAGES, tasks)
    assert predictions(outcomes) == one_by_one(folder, PAGES, tasks)
    first = outcomes[0].prediction
    assert first
    assert {region["item_index"] for region in first["result"]} == set(range(5))
    assert outcomes[2].reason.startswith("image, page 2: ")
    assert "no list of images under 'images'" in outcomes[3].reason
    assert [bool(each.reason) for each in outcomes] == [False, False, True, True, False]


def test_both_images_of_a_task_are_predicted(joined: Ray, pictures: tuple[Path, list[str]]) -> None:
    folder, image = pictures
    tasks: list[dict[str, Any]] = [
        {"front": image[0], "photo": {"back": image[1]}},
        {"front": image[2], "photo": {"back": image[5]}},
        {"front": image[3]},
    ]
    outcomes = bulk(folder, TWO, tasks)
    assert predictions(outcomes) == one_by_one(folder, TWO, tasks)
    first = outcomes[0].prediction
    assert first
    assert {region["to_name"] for region in first["result"]} == {"a", "b"}
    assert outcomes[1].reason.startswith("b: ")
    assert "'photo.back'" in outcomes[2].reason


def test_labels_that_tasks_provide_are_those_of_each_task(
    joined: Ray, pictures: tuple[Path, list[str]]
) -> None:
    folder, image = pictures
    tasks = [
        {"image": image[0], "labels": [{"value": "dress"}]},
        {"image": image[0], "labels": [{"value": "hat"}]},
        {"image": image[1], "labels": [{"value": "Robe", "predicted_values": "dress"}]},
    ]
    outcomes = bulk(folder, DYNAMIC, tasks)
    assert predictions(outcomes) == one_by_one(folder, DYNAMIC, tasks)
    labels = [
        {name for region in each.prediction["result"] for name in region["value"].get("labels", [])}
        for each in outcomes
        if each.prediction
    ]
    assert labels == [{"dress"}, {"hat"}, {"Robe"}]
