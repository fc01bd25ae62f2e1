"""What runs on Ray's workers: the segmentation backend's own stages, a block of images at a time.

This is the one module beside the backends that imports them, and only where it runs.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_backend.errors import SegstudioError, TaskError
from ml_backend.images import NO_TASK, ImageSettings, ImageSource, TaskAccess
from ml_backend.images.source import EncodedImage
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.serving.settings import read_settings

if TYPE_CHECKING:
    from sam_backend.settings import SamSettings
    from segmentation_backend.models.base import SegmentationModel
    from segmentation_backend.settings import SegmentationSettings

Settings: TypeAlias = "SegmentationSettings"
"""The segmentation backend's; a worker gets them from whoever started the run."""

OfSam: TypeAlias = "SamSettings"
"""The sam backend's, likewise."""

Load = Callable[["SegmentationSettings"], "SegmentationModel"]
"""Makes the model, where it is needed."""

Batch = Any
"""Column to values, as Ray Data hands them over and takes them back."""

_FETCHES = 8

_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True)
class Model:
    """What must be known of a model before it is used.

    Attributes:
        version: Of its predictions.
        classes: That it tells apart, the background first.
    """

    version: str
    classes: tuple[str, ...]


def backend_settings(**changes: object) -> "SegmentationSettings":
    """The segmentation backend's settings, as this machine's environment has them.

    Images are not kept on disk: each is needed once, and they would push the labelers' out.
    ``WORKERS`` is of those who serve: here each model is in a process that is counted otherwise.

    Raises:
        SettingsError: A variable is wrong.
    """
    from segmentation_backend.settings import SegmentationSettings

    settings = read_settings(SegmentationSettings)
    return settings.model_copy(update={"image_cache_mb": 0, "workers": 1, **changes})


def sam_settings(**changes: object) -> "SamSettings":
    """The sam backend's settings, as this machine's environment has them.

    Raises:
        SettingsError: A variable is wrong.
    """
    from sam_backend.settings import SamSettings

    return read_settings(SamSettings).model_copy(update={"workers": 1, **changes})


def load_model(settings: "SegmentationSettings") -> "SegmentationModel":
    """The model that the segmentation backend would load with these settings."""
    from segmentation_backend.models.registry import load_model

    return load_model(settings)


def describe_model(
    load: Load,
    settings: "SegmentationSettings",
    label_config: str,
    sam: "SamSettings | None",
) -> Model | SegstudioError:
    """Load the models, and see that they can serve the label config; errors are given back.

    Ray would wrap what is raised on a worker into an error of its own.
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
    """Fetch several images at a time, decode them one after the other.

    Args:
        batch: ``item``, ``reference`` and ``task``: its ID in Label Studio, 0 without one.
        settings: Say where images come from and how large they may be.
        access: Project of the tasks, and the login for their images.

    Yields:
        For each image ``item``, ``pixels`` (H, W, 3) uint8 RGB, its ``identity``, ``reason`` why
        there are none, and ``full``: height and width that browsers show of a huge JPEG, which is
        decoded reduced, else zeros.
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
    """The sam backend's model in a process of its own, filling the store that the backend reads."""

    def __init__(self, settings: "SamSettings") -> None:
        from sam_backend.embedding_store.tiers import open_store
        from sam_backend.models.registry import load_model

        self._model = load_model(settings)
        self._store = open_store(settings, self._model)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Have embeddings of the images in the store; images pass on as they are."""
        for row, reason in enumerate(batch["reason"]):
            if not reason:
                self._embed(str(batch["identity"][row]), batch["pixels"][row])
            yield {name: [values[row]] for name, values in batch.items()}

    def _embed(self, identity: str, pixels: npt.NDArray[np.uint8]) -> None:
        from sam_backend.embedding_service import EmbeddingKey

        key = EmbeddingKey(identity, self._model.version)
        if not self._store.has(key):
            self._store.put(key, self._model.embed(pixels).to_float16())


class Segmenter:
    """The model in a process of its own, for as many images as come."""

    def __init__(self, load: Load, settings: "SegmentationSettings", label_config: str) -> None:
        from segmentation_backend.phrases import prompted

        self._model = prompted(load(settings), parse_label_config(label_config))

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Put ``instances``, serialized, in the place of pixels."""
        from segmentation_backend.models.base import pack_instances

        readable = [
            p for p, reason in zip(batch["pixels"], batch["reason"], strict=True) if not reason
        ]
        found = iter(self._model.segment(readable))
        for item, reason, full in zip(batch["item"], batch["reason"], batch["full"], strict=True):
            packed = pack_instances([] if reason else next(found))
            kept = {"item": [item], "reason": [reason], "full": [full]}
            yield {**kept, "instances": [packed]}


def make_predictions(
    batch: Batch, model: Model, settings: "SegmentationSettings", label_config: str
) -> Iterator[Batch]:
    """Turn instances into ``prediction``: Label Studio's JSON, empty where there is a reason."""
    from ml_backend.labelstudio.enlarge import enlarge
    from segmentation_backend.models.base import unpack_instances
    from segmentation_backend.regions import RegionBuilder

    builder = RegionBuilder(model.version, model.classes, settings)
    config = parse_label_config(label_config)
    columns = (batch[name] for name in ("item", "instances", "reason", "full"))
    for item, instances, reason, full in zip(*columns, strict=True):
        prediction = ""
        if not reason:
            regions = builder.regions(unpack_instances(instances), config)
            height, width = map(int, full)
            if height:
                regions = enlarge(regions, (height, width))
            prediction = json.dumps(builder.prediction(regions).model_dump())
        yield {"item": [item], "reason": [reason], "prediction": [prediction]}
