"""What Label Studio sends to the interactive backend, and what it reads in the answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flask import Flask

from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.lru import LruCache
from ml_backend.serving.app import create_app
from sam_backend.concepts import ConceptFinder
from sam_backend.models.base import ConceptModel, PromptableModel
from sam_backend.predictor import SamPredictor
from sam_backend.settings import SamSettings
from tests.support.scenes import LABEL_CONFIG, wait_until

Json = dict[str, Any]


def make_predictor(
    model: PromptableModel,
    folder: Path,
    cache_bytes: int = 1 << 24,
    concepts: ConceptModel | None = None,
) -> SamPredictor:
    """A predictor with an image cache in ``folder``."""
    images = ImageSource(ImageSettings(image_cache_dir=folder))
    finder = ConceptFinder(concepts, LruCache(cache_bytes)) if concepts else None
    return SamPredictor(model, images, LruCache(cache_bytes), finder)


def make_app(predictor: SamPredictor) -> Flask:
    """The backend's app, ready to answer."""
    app = create_app(lambda: predictor, SamSettings())
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)
    return app


def box(x: float, y: float, width: float, height: float, label: str = "Dress") -> Json:
    """A smart rectangle, in percent."""
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    return _region("rectanglelabels", "box", value | {"rectanglelabels": [label]})


def click(x: float, y: float, positive: bool = True, label: str = "Dress") -> Json:
    """A smart keypoint, in percent."""
    value = {"x": x, "y": y, "width": 0.3, "keypointlabels": [label]}
    return _region("keypointlabels", "point", value) | {"is_positive": positive}


def typed(*texts: str, from_name: str = "prompt", to_name: str = "image", **more: Any) -> Json:
    """All texts that a labeler has entered in a TextArea."""
    kind = {"type": "textarea", "from_name": from_name, "to_name": to_name, "id": "t"}
    return kind | {"value": {"text": list(texts)}} | more


def _region(kind: str, from_name: str, value: Json) -> Json:
    return {
        "type": kind,
        "from_name": from_name,
        "to_name": "image",
        "original_width": 128,
        "original_height": 96,
        "value": value,
    }


def body(image: str, *regions: Json, label_config: str = LABEL_CONFIG) -> Json:
    """The body of an interactive call."""
    return {
        "tasks": [{"id": 1, "data": {"image": image}}],
        "label_config": label_config,
        "params": {"context": {"result": list(regions)}},
    }


def mask_of(region: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """The mask that a brush region shows."""
    size = region["original_height"], region["original_width"]
    return decode_rle(region["value"]["rle"], *size)


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())
