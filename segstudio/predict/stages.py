"""Stages that run on Ray's workers: those of the segmentation backend, in blocks of images.

Apart from the backends, this is the only module that imports them, and only where it runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_backend.errors import SegstudioError, TaskError
from ml_backend.images import NO_TASK, ImageSettings, ImageSource, TaskAccess
from ml_backend.images.source import EncodedImage
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.serving.settings import read_settings

if TYPE_CHECKING:
    from ml_backend.labelstudio.schemas import ChosenAnswer, Region
    from sam_backend.settings import SamSettings
    from segmentation_backend.models.base import Instance, SegmentationModel
    from segmentation_backend.settings import SegmentationSettings

Settings: TypeAlias = "SegmentationSettings"
"""Settings of the segmentation backend; a worker gets them from the process that started the
run."""

OfSam: TypeAlias = "SamSettings"
"""Settings of the sam backend; a worker gets them from the process that started the run."""

Load = Callable[["SegmentationSettings"], "SegmentationModel"]
"""Loads the model, in the process that uses it."""

Batch = Any
"""Values by column, as Ray Data passes them."""

_FETCHES = 8

_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Model:
    """Properties of a model that are needed before it is used.

    Attributes:
        version: Model version of its predictions.
        tags: Names of the image tags that get masks or answers, in the order of the results.
    """

    version: str
    tags: tuple[str, ...]


def backend_settings(**changes: object) -> "SegmentationSettings":
    """Return the segmentation backend's settings from this machine's environment.

    Neither images nor embeddings are cached: each is needed once, and they would evict those of
    labelers.
    ``WORKERS`` is ignored: it is for serving, and here each model has its own process.

    Raises:
        SettingsError: A variable is invalid.
    """
    from segmentation_backend.settings import SegmentationSettings

    settings = read_settings(SegmentationSettings)
    uncached = {"image_cache_mb": 0, "embedding_disk_mb": 0, "redis_url": None}
    return settings.model_copy(update={**uncached, "workers": 1, **changes})


def sam_settings(**changes: object) -> "SamSettings":
    """Return the sam backend's settings from this machine's environment.

    Raises:
        SettingsError: A variable is invalid.
    """
    from sam_backend.settings import SamSettings

    return read_settings(SamSettings).model_copy(update={"workers": 1, **changes})


def load_model(settings: "SegmentationSettings") -> "SegmentationModel":
    """Load the model that the segmentation backend would load with these settings."""
    from segmentation_backend.models.registry import load_model

    return load_model(settings)


def describe_model(
    load: Load,
    settings: "SegmentationSettings",
    label_config: str,
    sam: "SamSettings | None",
) -> Model | SegstudioError:
    """Load the models, and check that they can serve the label config; errors are returned.

    Ray would wrap an exception raised on a worker.
    """
    from segmentation_backend.predictor import SegmentationPredictor

    try:
        predictor = SegmentationPredictor(load(settings), ImageSource(settings), settings)
        config = parse_label_config(label_config)
        predictor.check(config)
        if sam is not None:
            Embedder(sam)
    except SegstudioError as error:
        return error.with_traceback(None)
    return Model(predictor.model_version, tuple(predictor.answered_images(config)))


def load_images(
    batch: Batch, settings: "SegmentationSettings", access: TaskAccess = NO_TASK
) -> Iterator[Batch]:
    """Fetch several images in parallel, and decode them one by one.

    Args:
        batch: Columns ``reference``, ``task``, the task ID or 0, and others, which are passed on.
        settings: Image sources and limits.
        access: Project of the tasks, and the login for their images.

    Yields:
        For each image its columns, ``pixels`` (H, W, 3) uint8 RGB, its ``identity``, the ``reason``
        of a failure, and ``full``: height and width that browsers show of a huge JPEG that is
        decoded reduced, else zeros.
    """
    source = _image_source(settings)
    with ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch") as pool:
        fetched = pool.map(
            partial(_fetch, source, access), map(str, batch["reference"]), map(int, batch["task"])
        )
        for row, encoded in enumerate(fetched):
            yield {**_row(batch, row), **_decoded(encoded)}


def _row(batch: Batch, row: int, *without: str) -> Batch:
    """Return a batch of one row, without some columns."""
    return {name: [values[row]] for name, values in batch.items() if name not in without}


@lru_cache(maxsize=1)
def _image_source(settings: ImageSettings) -> ImageSource:
    return ImageSource(settings)


def _fetch(
    source: ImageSource, access: TaskAccess, reference: str, task: int
) -> EncodedImage | TaskError:
    try:
        return source.open(reference, access=replace(access, task=task or None))
    except TaskError as error:
        return error


def _decoded(encoded: EncodedImage | TaskError) -> Batch:
    try:
        if isinstance(encoded, TaskError):
            raise encoded
        pixels, full = encoded.decode(), encoded.reduced_from() or (0, 0)
    except TaskError as error:
        missing = {"pixels": [_NO_IMAGE], "identity": [""], "reason": [str(error)]}
        return {**missing, "full": [(0, 0)]}
    found = {"pixels": [pixels], "identity": [encoded.identity], "reason": [""]}
    return {**found, "full": [full]}


class Embedder:
    """The sam backend's model in its own process, which fills the embedding store."""

    def __init__(self, settings: "SamSettings") -> None:
        from ml_backend.embedding_store.tiers import open_store
        from sam_backend.embedding_codec import EmbeddingCodec
        from sam_backend.models.registry import load_model

        self._model = load_model(settings)
        codec = EmbeddingCodec(self._model, settings.max_image_pixels)
        self._store = open_store(settings, codec)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Compute missing embeddings of the images; yields the images unchanged."""
        for row, reason in enumerate(batch["reason"]):
            if not reason:
                self._embed(str(batch["identity"][row]), batch["pixels"][row])
            yield _row(batch, row)

    def _embed(self, identity: str, pixels: npt.NDArray[np.uint8]) -> None:
        from sam_backend.embedding_service import EmbeddingKey

        key = EmbeddingKey(identity, self._model.version).name
        if not self._store.has(key):
            self._store.put(key, self._model.embed(pixels).to_float16())


class Segmenter:
    """The model in its own process, for any number of images."""

    def __init__(self, load: Load, settings: "SegmentationSettings", label_config: str) -> None:
        from segmentation_backend.models.base import TextPromptedModel

        model = load(settings)
        self._model = model
        self._reader = model if isinstance(model, TextPromptedModel) else None
        self._config = parse_label_config(label_config)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Replace pixels by what is found.

        Yields:
            For each image its columns, serialized ``instances``, and as JSON the ``classes`` that
            they are of and the ``presence`` of what choices name.
        """
        from segmentation_backend.models.base import pack_instances

        for data, rows in groupby(range(len(batch["data"])), lambda row: batch["data"][row]):
            for row, seen in self._see(batch, list(rows), str(data)):
                answer = {
                    "instances": [pack_instances(seen.instances)],
                    "classes": [json.dumps(seen.classes)],
                    "presence": [json.dumps(seen.presence)],
                }
                yield {**_row(batch, row, "pixels"), **answer}

    def _see(self, batch: Batch, rows: Sequence[int], data: str) -> "Iterator[tuple[int, _Seen]]":
        """Yield what is found on images of tasks with the same labels; nothing where it failed."""
        from segmentation_backend.phrases import prompted

        model = prompted(self._model, _config_of(self._config, data))
        readable = [row for row in rows if not batch["reason"][row]]
        yield from ((row, _Seen((), model.classes, {})) for row in rows if batch["reason"][row])
        # A model that reads text answers both questions from the features of one image.
        portions = [[row] for row in readable] if self._reader else [readable]
        for portion in portions:
            found = model.segment([batch["pixels"][row] for row in portion])
            for row, instances in zip(portion, found, strict=True):
                presence = self._presence(str(batch["tag"][row]), batch["pixels"][row])
                yield row, _Seen(instances, model.classes, presence)

    def _presence(self, tag: str, pixels: npt.NDArray[np.uint8]) -> Mapping[str, float]:
        """Return the confidence that an image shows what the choices on its tag name."""
        from segmentation_backend.choices import asked_phrases, prompted_choices

        phrases = asked_phrases(prompted_choices(self._config, tag)) if self._reader else ()
        return self._reader.presence(pixels, phrases) if self._reader and phrases else {}


@dataclass(frozen=True)
class _Seen:
    """What a model finds on an image: instances of its classes, and the presence of phrases."""

    instances: "Sequence[Instance]"
    classes: tuple[str, ...]
    presence: Mapping[str, float]


def _config_of(config: LabelConfig, data: str) -> LabelConfig:
    """Return the label config with the labels of a task, whose data is JSON."""
    return config.for_task(json.loads(data)) if data else config


def make_results(
    batch: Batch, model: Model, settings: "SegmentationSettings", label_config: str
) -> Iterator[Batch]:
    """Convert what is found on images to their tasks' ``results`` in Label Studio's JSON."""
    config = parse_label_config(label_config)
    for row, reason in enumerate(batch["reason"]):
        results = [] if reason else _results(batch, row, model, settings, config)
        yield {
            **{name: [batch[name][row]] for name in ("item", "image", "reason")},
            "results": [json.dumps([each.model_dump() for each in results])],
        }


def _results(
    batch: Batch,
    row: int,
    model: Model,
    settings: "SegmentationSettings",
    label_config: LabelConfig,
) -> "list[Region | ChosenAnswer]":
    """Return the regions and the answers on one image."""
    from ml_backend.labelstudio.enlarge import enlarge
    from ml_backend.labelstudio.task_images import TaskImage
    from segmentation_backend.choices import chosen, prompted_choices
    from segmentation_backend.models.base import unpack_instances
    from segmentation_backend.regions import RegionBuilder

    tag, page = str(batch["tag"][row]), int(batch["page"][row])
    item = None if page < 0 else page
    classes = tuple(json.loads(batch["classes"][row]))
    presence = json.loads(batch["presence"][row])
    regions = RegionBuilder(model.version, classes, settings).regions(
        unpack_instances(batch["instances"][row]),
        _config_of(label_config, str(batch["data"][row])),
        tag,
        item,
    )
    height, width = map(int, batch["full"][row])
    shown = enlarge(regions, (height, width)) if height else regions
    questions = prompted_choices(label_config, tag) if presence else []
    return [*shown, *chosen(questions, presence, TaskImage(tag, item, ""))]
