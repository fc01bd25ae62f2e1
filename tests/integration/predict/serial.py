"""Parts of a bulk run without the command line, and the plain loop to compare it with."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ml_backend.deadline import Deadline
from ml_backend.images import ImageSource
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.schemas import Prediction, Task
from segmentation_backend.predictor import SegmentationPredictor
from segstudio.data.store import Folder
from segstudio.predict import cluster, stages
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome
from segstudio.predict.job import Writer, pending_items
from segstudio.predict.pipeline import Pipeline
from segstudio.predict.shard_sink import About, ShardSink
from segstudio.predict.shard_table import ShardFormat
from segstudio.predict.sources import folder_items
from segstudio.projects.tasks import TaskField
from tests.support import ray_models as models
from tests.support.ray_pictures import CONFIG

SHARD = 50


def pipeline(folder: Path, load: stages.Load = models.load, block: int = 16) -> Pipeline:
    """Of the pictures in a folder."""
    settings = stages.backend_settings(local_files_document_root=folder)
    return Pipeline(settings, CONFIG, cluster.Pool(1, 0, 1), load, block, portion=1100)


def items(folder: Path) -> list[Item]:
    return list(folder_items(folder, TaskField("image")))


def plain_loop(folder: Path, of: list[Item]) -> dict[str, Any]:
    """What the backend answers for each item, one after the other."""
    settings = stages.backend_settings(local_files_document_root=folder)
    images = ImageSource(settings)
    predictor = SegmentationPredictor(models.ByColour(), images, settings)
    tasks = [Task(data={"image": item.reference}) for item in of]
    config, deadline = parse_label_config(CONFIG), Deadline.after(600)
    answers = predictor.predict(tasks, None, label_config=config, deadline=deadline)
    return {
        item.key: without_ids(answer.model_dump()) if isinstance(answer, Prediction) else None
        for item, answer in zip(of, answers, strict=True)
    }


def by_key(outcomes: list[Outcome]) -> dict[str, Any]:
    return {o.item.key: o.prediction and without_ids(dict(o.prediction)) for o in outcomes}


def without_ids(prediction: dict[str, Any]) -> dict[str, Any]:
    """Regions get ids by chance."""
    regions = [{**region, "id": ""} for region in prediction["result"]]
    return {**prediction, "result": regions}


def run_to_shards(folder: Path, out: Path) -> Counter[str]:
    """What ``segstudio predict FOLDER --out OUT`` does, with the slow model and small shards."""
    tally: Counter[str] = Counter()
    work = pipeline(folder, models.load_slow)
    model = work.model()
    shards = ShardSink(Folder(out), ShardFormat.JSONL, About.of(model.version, CONFIG))
    shards.size = SHARD
    failures = Failures(Folder(out), "failed.csv", retry=False)
    todo = list(
        pending_items(folder_items(folder, TaskField("image")), shards.done(), failures, tally)
    )
    Writer(shards, failures, tally).write(work.predict(todo, model), lambda _outcome: None)
    return tally


if __name__ == "__main__":
    with cluster.joined(sys.argv[3]):
        run_to_shards(Path(sys.argv[1]), Path(sys.argv[2]))
