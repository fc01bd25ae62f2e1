"""Pipeline of stages on Ray Data, which schedules, limits buffers and retries after failures."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa  # type: ignore[import-untyped]

from ml_backend.errors import SegstudioError, TaskError
from ml_backend.images import NO_TASK, TaskAccess
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.schemas import mean_score
from ml_backend.labelstudio.task_images import TaskImage, needed_data, task_images
from segstudio.predict import stages
from segstudio.predict.cluster import Pool
from segstudio.predict.items import Item, Outcome

if TYPE_CHECKING:
    from ray.data import Dataset

_BLOCK = 16
"""Images in a block: enough to be worth a task, few enough to be repeated."""

_PORTION = 5000
"""Number of images passed to Ray at a time, because it keeps its input. Models are loaded again for
each portion, 1 % of its time on two cores. The driver's list of what is left and of what is in
shards grows with the archive, by less than 1 KB an image, so that the time left can be told."""

_STAGE_CPUS = 0.5
_MODEL_CPUS = 0.01
"""Cores that Ray reserves for a model: just enough to avoid a head node without processors. Models
stay alive, and move to other nodes when one is lost: with whole cores, they would leave none to the
stages before and after them, and wait for these forever."""


Row = dict[str, Any]
"""Outcome of one image: columns of ``stages.make_results``."""


@dataclass(frozen=True)
class Planned:
    """A task with its images.

    Attributes:
        item: Task.
        images: Images that get masks or answers, at least one.
        data: Data of the task as JSON, if it provides labels; else empty.
    """

    item: Item
    images: tuple[TaskImage, ...]
    data: str

    def outcome(self, rows: Sequence[Row], model: stages.Model) -> Outcome:
        """Return the outcome of the task, given that of each image in order."""
        failed = [self._reason(row) for row in rows if row["reason"]]
        if failed:
            return Outcome(self.item, None, failed[0])
        results = [result for row in rows for result in json.loads(row["results"])]
        score = mean_score([result["score"] for result in results])
        prediction = {"result": results, "score": score, "model_version": model.version}
        return Outcome(self.item, prediction)

    def _reason(self, row: Row) -> str:
        image = self.images[row["image"]]
        if len(self.images) == 1:
            return str(row["reason"])
        page = "" if image.item is None else f", page {image.item + 1}"
        return f"{image.to_name}{page}: {row['reason']}"


@dataclass(frozen=True)
class Pipeline:
    """Makes predictions for one label config with one model.

    Attributes:
        settings: Settings of the segmentation backend.
        label_config: Label config as XML.
        pool: Number of models and their resources.
        load: Loads the model on a worker.
        block: Number of images in a block.
        portion: Number of images that Ray knows at a time.
        sam: Settings of the sam backend, to fill its store as well; None: skip.
        access: Project of the tasks, and the login for their images.
    """

    settings: "stages.Settings"
    label_config: str
    pool: Pool
    load: stages.Load = stages.load_model
    block: int = _BLOCK
    portion: int = _PORTION
    sam: "stages.OfSam | None" = None
    access: TaskAccess = NO_TASK

    def model(self) -> stages.Model:
        """Return the model's properties from a worker.

        Raises:
            ModelError: The model cannot be loaded.
            LabelConfigError: The model cannot serve the label config.
        """
        import ray

        describe = ray.remote(stages.describe_model).options(num_cpus=1)
        told = ray.get(describe.remote(self.load, self.settings, self.label_config, self.sam))
        if isinstance(told, SegstudioError):
            raise told
        return told

    def predict(self, items: Iterable[Item], model: stages.Model) -> Iterator[Outcome]:
        """Yield the outcomes of items in order of completion: each once, even after failures."""
        config = parse_label_config(self.label_config)
        portion: list[Planned] = []
        images = 0
        for item in items:
            planned = plan(item, config, model.tags)
            if isinstance(planned, TaskError):
                yield Outcome(item, None, str(planned))
                continue
            portion.append(planned)
            images += len(planned.images)
            if images >= self.portion:
                yield from self._predict(portion, model)
                portion, images = [], 0
        if portion:
            yield from self._predict(portion, model)

    def _predict(self, planned: Sequence[Planned], model: stages.Model) -> Iterator[Outcome]:
        """Predict images, and yield the outcome of a task once all of its images are predicted."""
        found: dict[int, dict[int, Row]] = defaultdict(dict)
        for row in self._rows(planned, model):
            number = row["item"]
            found[number][row["image"]] = row
            if len(found[number]) == len(planned[number].images):
                parts = [part for _, part in sorted(found.pop(number).items())]
                yield planned[number].outcome(parts, model)

    def _rows(self, planned: Sequence[Planned], model: stages.Model) -> Iterator[Row]:
        import ray.data

        threads = {"threads": self.pool.threads}
        settings = self.settings.model_copy(update=threads)
        predict = partial(
            stages.make_results,
            model=model,
            settings=settings,
            label_config=self.label_config,
        )
        images = ray.data.from_arrow(list(tables(planned, self.block))).map_batches(
            partial(stages.load_images, settings=settings, access=self.access),
            batch_size=None,
            num_cpus=_STAGE_CPUS,
        )
        if self.sam is not None:
            sam = self.sam.model_copy(update=threads)
            images = self._on_models(images, stages.Embedder, (sam,))
        segmented = self._on_models(
            images, stages.Segmenter, (self.load, settings, self.label_config)
        )
        predicted = segmented.map_batches(predict, batch_size=None, num_cpus=_STAGE_CPUS)
        for table in predicted.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from cast(pa.Table, table).to_pylist()

    def _on_models(self, images: "Dataset", stage: type, arguments: tuple[Any, ...]) -> "Dataset":
        """Map images to a pool of processes that each hold a model."""
        from ray.data import ActorPoolStrategy

        return images.map_batches(
            stage,
            batch_size=None,
            fn_constructor_args=arguments,
            compute=ActorPoolStrategy(size=self.pool.size),
            num_cpus=_MODEL_CPUS,
            num_gpus=self.pool.gpus,
        )


def plan(item: Item, config: LabelConfig, tags: Sequence[str]) -> Planned | TaskError:
    """Return a task with the images that some tags show, or why there are none."""
    try:
        images = [image for tag in tags for image in task_images(item.data, config, tag)]
    except TaskError as error:
        return error
    data = json.dumps(needed_data(item.data, config)) if config.has_dynamic_labels else ""
    return Planned(item, tuple(images), data)


def tables(planned: Iterable[Planned], size: int) -> Iterator[pa.Table]:
    """Yield the images of tasks in blocks; ``item`` and ``image`` are their numbers."""
    rows = (
        {
            "item": number,
            "image": order,
            "tag": image.to_name,
            "page": -1 if image.item is None else image.item,
            "reference": image.reference,
            "task": each.item.task or 0,
            "data": each.data,
        }
        for number, each in enumerate(planned)
        for order, image in enumerate(each.images)
    )
    while block := list(islice(rows, size)):
        yield pa.Table.from_pylist(block)
