"""Stages that run on Ray's workers: those of the segmentation backend, in blocks of images.

Apart from the backends, this is the only module that imports them, and only where it runs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
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
    from segmentation_backend.regions import RegionBuilder
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
        classes: Class names, the background first.
    """

    version: str
    classes: tuple[str, ...]


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
    return Model(predictor.model_version, predictor.classes_for(config))


def load_images(
    batch: Batch, settings: "SegmentationSettings", access: TaskAccess = NO_TASK
) -> Iterator[Batch]:
    """Fetch several images in parallel, and decode them one by one.

    Args:
        batch: Columns ``item``, ``reference`` and ``task``, the task ID or 0.
        settings: Image sources and limits.
        access: Project of the tasks, and the login for their images.

    Yields:
        For each image ``item``, ``pixels`` (H, W, 3) uint8 RGB, its ``identity``, the ``reason`` of
        a failure, and ``full``: height and width that browsers show of a huge JPEG that is decoded
        reduced, else zeros.
    """
    source = _image_source(settings)
    with ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch") as pool:
        fetched = pool.map(
            partial(_fetch, source, access), map(str, batch["reference"]), map(int, batch["task"])
        )
        for item, encoded in zip(batch["item"], fetched, strict=True):
            yield {"item": [item], **_decoded(encoded)}


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
            yield {name: [values[row]] for name, values in batch.items()}

    def _embed(self, identity: str, pixels: npt.NDArray[np.uint8]) -> None:
        from sam_backend.embedding_service import EmbeddingKey

        key = EmbeddingKey(identity, self._model.version).name
        if not self._store.has(key):
            self._store.put(key, self._model.embed(pixels).to_float16())


class Segmenter:
    """The model in its own process, for any number of images."""

    def __init__(self, load: Load, settings: "SegmentationSettings", label_config: str) -> None:
        from segmentation_backend.choices import asked_phrases, prompted_choices
        from segmentation_backend.models.base import TextPromptedModel
        from segmentation_backend.phrases import prompted

        model, config = load(settings), parse_label_config(label_config)
        questions = [each for name in config.images for each in prompted_choices(config, name)]
        self._model = prompted(model, config)
        self._reader = model if isinstance(model, TextPromptedModel) else None
        self._phrases = asked_phrases(questions)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Replace pixels by serialized ``instances`` and the ``presence`` of choices as JSON."""
        from segmentation_backend.models.base import pack_instances

        readable = [
            p for p, reason in zip(batch["pixels"], batch["reason"], strict=True) if not reason
        ]
        found = self._found(readable)
        for item, reason, full in zip(batch["item"], batch["reason"], batch["full"], strict=True):
            instances, presence = ([], {}) if reason else next(found)
            kept = {"item": [item], "reason": [reason], "full": [full]}
            packed = {"instances": [pack_instances(instances)], "presence": [json.dumps(presence)]}
            yield {**kept, **packed}

    def _found(
        self, images: Sequence[npt.NDArray[np.uint8]]
    ) -> "Iterator[tuple[list[Instance], Mapping[str, float]]]":
        """Yield the instances on each image, and the confidence that it shows what choices name."""
        if not (self._reader and self._phrases):
            yield from ((instances, {}) for instances in self._model.segment(images))
            return
        for image in images:  # one by one: both answers come from the same cached features
            (instances,) = self._model.segment([image])
            yield instances, self._reader.presence(image, self._phrases)


def make_predictions(
    batch: Batch, model: Model, settings: "SegmentationSettings", label_config: str
) -> Iterator[Batch]:
    """Convert what was found to ``prediction`` in Label Studio's JSON; empty for failed images."""
    from segmentation_backend.models.base import unpack_instances
    from segmentation_backend.regions import RegionBuilder

    builder = RegionBuilder(model.version, model.classes, settings)
    config = parse_label_config(label_config)
    columns = (batch[name] for name in ("item", "instances", "presence", "reason", "full"))
    for item, instances, presence, reason, full in zip(*columns, strict=True):
        prediction = ""
        if not reason:
            size = (int(full[0]), int(full[1]))
            found = unpack_instances(instances), json.loads(presence)
            results = _results(builder, config, *found, size)
            prediction = json.dumps(builder.prediction(results).model_dump())
        yield {"item": [item], "reason": [reason], "prediction": [prediction]}


def _results(
    builder: "RegionBuilder",
    config: LabelConfig,
    instances: "Sequence[Instance]",
    presence: Mapping[str, float],
    full: tuple[int, int],
) -> "list[Region | ChosenAnswer]":
    """Return the regions and answers on each tag that shows the image."""
    from ml_backend.labelstudio.enlarge import enlarge
    from ml_backend.labelstudio.task_images import TaskImage
    from segmentation_backend.choices import chosen, prompted_choices, questioned_images

    results: list[Region | ChosenAnswer] = []
    questioned = questioned_images(config) if presence else []
    for name in dict.fromkeys((*config.mask_images(), *questioned)):
        regions = builder.regions(instances, config, name)
        results += enlarge(regions, full) if any(full) else regions
        if name in questioned:
            results += chosen(prompted_choices(config, name), presence, TaskImage(name, None, ""))
    return results
