"""Pipeline of stages on Ray Data, which schedules, limits buffers and retries after failures."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa  # type: ignore[import-untyped]

from ml_backend.errors import SegstudioError
from ml_backend.images import NO_TASK, TaskAccess
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
        stream = iter(items)
        while portion := list(islice(stream, self.portion)):
            yield from self._predict(portion, model)

    def _predict(self, items: Sequence[Item], model: stages.Model) -> Iterator[Outcome]:
        import ray.data

        threads = {"threads": self.pool.threads}
        settings = self.settings.model_copy(update=threads)
        predict = partial(
            stages.make_predictions,
            model=model,
            settings=settings,
            label_config=self.label_config,
        )
        images = ray.data.from_arrow(list(_tables(items, self.block))).map_batches(
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
            yield from map(_outcome, cast(pa.Table, table).to_pylist())

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


def _tables(items: Iterable[Item], size: int) -> Iterator[pa.Table]:
    stream = iter(items)
    while block := list(islice(stream, size)):
        columns = {
            "item": [item.to_json() for item in block],
            "reference": [item.reference for item in block],
            "task": [item.task or 0 for item in block],
        }
        yield pa.table(columns)


def _outcome(row: dict[str, Any]) -> Outcome:
    prediction = json.loads(row["prediction"]) if row["prediction"] else None
    return Outcome(Item.from_json(row["item"]), prediction, row["reason"])
