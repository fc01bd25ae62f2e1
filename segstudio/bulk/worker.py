"""What runs on Ray's workers: the segmentation backend's own stages, a block of images at a time.

This is the one module beside the backends that imports them, and only where it runs.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_backend.contract import Task
from ml_backend.deadline import Deadline
from ml_backend.errors import SegstudioError, TaskError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.source import EncodedImage
from ml_backend.label_config import parse_label_config
from ml_backend.settings import read_settings
from segstudio.bulk.items import Item

if TYPE_CHECKING:
    from sam_backend.settings import SamSettings
    from segmentation_backend.models.base import GarmentModel
    from segmentation_backend.settings import SegmentationSettings

Settings: TypeAlias = "SegmentationSettings"
"""The segmentation backend's; a worker gets them from whoever started the run."""

Load = Callable[["SegmentationSettings"], "GarmentModel"]
"""Makes the model, where it is needed."""

Batch = Any
"""Column to values, as Ray Data hands them over and takes them back."""

_FETCHES = 8
_EMBED_SECONDS = 120
"""For one image, on the slowest processor with the largest model."""

_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)
_NO_MAP = np.zeros((1, 1), np.uint8)


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

    Raises:
        SettingsError: A variable is wrong.
    """
    from segmentation_backend.settings import SegmentationSettings

    settings = read_settings(SegmentationSettings)
    return settings.model_copy(update={"image_cache_mb": 0, **changes})


def sam_settings(like: "SegmentationSettings") -> "SamSettings":
    """The sam backend's settings, as this machine's environment has them.

    Args:
        like: Say where images come from.

    Raises:
        SettingsError: A variable is wrong.
    """
    from sam_backend.settings import SamSettings

    names = ("label_studio_url", "label_studio_api_key", "local_files_document_root")
    same = {name: getattr(like, name) for name in names}
    return read_settings(SamSettings).model_copy(update={"image_cache_mb": 0, **same})


def load_model(settings: "SegmentationSettings") -> "GarmentModel":
    """The model that the segmentation backend would load with these settings."""
    from segmentation_backend.models.registry import load_model

    return load_model(settings)


def describe_model(
    load: Load, settings: "SegmentationSettings", label_config: str
) -> Model | SegstudioError:
    """Load the model, and see that it can serve the label config; errors are given back.

    Ray would wrap what is raised on a worker into an error of its own.
    """
    from segmentation_backend.predictor import SegmentationPredictor

    try:
        predictor = SegmentationPredictor(load(settings), ImageSource(settings.image_settings), 0)
        predictor.check(parse_label_config(label_config))
    except SegstudioError as error:
        return error.with_traceback(None)
    return Model(predictor.model_version, predictor.classes)


def load_images(batch: Batch, settings: "SegmentationSettings") -> Iterator[Batch]:
    """Fetch several images at a time, decode them one after the other.

    Args:
        batch: ``item`` and ``reference``.
        settings: Say where images come from and how large they may be.

    Yields:
        For each image ``item``, ``pixels`` (H, W, 3) uint8 RGB, and ``reason`` why there are none.
    """
    source = _image_source(settings.image_settings)
    with ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch") as pool:
        fetched = pool.map(partial(_fetch, source), map(str, batch["reference"]))
        for item, encoded in zip(batch["item"], fetched, strict=True):
            pixels, reason = _decoded(encoded)
            yield {"item": [item], "pixels": [pixels], "reason": [reason]}


@lru_cache(maxsize=1)
def _image_source(settings: ImageSettings) -> ImageSource:
    return ImageSource(settings)


def _fetch(source: ImageSource, reference: str) -> EncodedImage | TaskError:
    try:
        return source.open(reference)
    except TaskError as error:
        return error


def _decoded(encoded: EncodedImage | TaskError) -> tuple[npt.NDArray[np.uint8], str]:
    if isinstance(encoded, TaskError):
        return _NO_IMAGE, str(encoded)
    try:
        return encoded.decode(), ""
    except TaskError as error:
        return _NO_IMAGE, str(error)


class Segmenter:
    """The model in a process of its own, for as many images as come."""

    def __init__(self, load: Load, settings: "SegmentationSettings") -> None:
        self._model = load(settings)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Class maps: ``indices`` (H, W) uint8 and ``scores`` (C,) float32 in place of pixels."""
        scores = np.zeros(len(self._model.classes), np.float32)
        for item, pixels, reason in zip(
            batch["item"], batch["pixels"], batch["reason"], strict=True
        ):
            row: dict[str, Any] = {"indices": [_NO_MAP], "scores": [scores]}
            if not reason:
                (class_map,) = self._model.segment([pixels])
                row = {"indices": [class_map.indices], "scores": [class_map.scores]}
            yield {"item": [item], "reason": [reason], **row}


def make_predictions(
    batch: Batch, model: Model, min_region_fraction: float, label_config: str
) -> Iterator[Batch]:
    """Class maps to ``prediction``: JSON in Label Studio's terms, empty where there is a reason."""
    from segmentation_backend.models.base import ClassMap
    from segmentation_backend.predictor import Garments

    garments = Garments(model.version, model.classes, min_region_fraction)
    config = parse_label_config(label_config)
    for item, indices, scores, reason in zip(
        batch["item"], batch["indices"], batch["scores"], batch["reason"], strict=True
    ):
        prediction = ""
        if not reason:
            found = garments.predict(ClassMap(np.asarray(indices), np.asarray(scores)), config)
            prediction = json.dumps(found.model_dump())
        yield {"item": [item], "reason": [reason], "prediction": [prediction]}


class Embedder:
    """The sam backend's model in a process of its own, filling the store that the backend reads."""

    def __init__(self, settings: "SamSettings", label_config: str) -> None:
        from sam_backend.app import load_predictor

        self._predictor = load_predictor(settings)
        self._config = parse_label_config(label_config)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        """Have embeddings of the images in the store; ``embedded`` is why not, else empty."""
        keys = self._config.image_keys.values()
        references = [Item.from_json(str(each)).reference for each in batch["item"]]
        tasks = [Task(data=dict.fromkeys(keys, each)) for each in references]
        done = self._predictor.prewarm(
            tasks, label_config=self._config, deadline=Deadline.after(_EMBED_SECONDS * len(tasks))
        )
        reasons = [str(each) if isinstance(each, TaskError) else "" for each in done]
        yield {**batch, "embedded": reasons}
