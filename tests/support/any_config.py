"""Both backends on any label config: a task that fits it, and whether regions can be drawn."""

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ml_backend.deadline import Deadline
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.label_config import Control, LabelConfig
from ml_backend.labelstudio.prompts import parse_context
from ml_backend.labelstudio.schemas import Prediction, Task
from ml_backend.labelstudio.task_paths import place
from ml_backend.lru import LruCache
from sam_backend.concepts import ConceptFinder
from sam_backend.models.base import ConceptModel, Embedding, Wanted
from sam_backend.predictor import SamPredictor
from segmentation_backend.models.base import ClassMap, Instance, SegmentationModel
from segmentation_backend.models.things import class_instances
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings
from tests.support.scenes import FillModel, disc_mask, draw
from tests.support.text_models import ColourConcepts, PhraseModel

Json = dict[str, Any]

DISC = (32, 48, 20)
LABELS = ("dress", "hat", "car")
"""Names that the model knows."""

TASK_LABELS = ("hat", "dress", "Dress", "car", "auto", "wheel & tyre")
"""Labels that tasks provide: all that a tool may have."""

PROMPTS: Mapping[str, tuple[Json, ...]] = {
    "keypoint": ({"x": 25.0, "y": 50.0, "width": 0.3},),
    "rectangle": (
        {"x": 10.0, "y": 29.0, "width": 31.0, "height": 42.0, "rotation": 0},
        # Of three points: the same box, turned around another corner.
        {"x": 41.0, "y": 29.0, "width": 31.5, "height": 41.3, "rotation": 90},
    ),
}
"""Values of prompts for the disc."""


class Disc:
    """A model that finds the drawn disc, once for each name that it knows."""

    version = "disc"
    classes = ("background", *LABELS)

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        """Return the disc as a thing of each class."""
        scores = np.array([0, 1, 1, 1], np.float32)
        maps = [
            ClassMap(np.where(disc_mask(DISC), index, 0).astype(np.uint8), scores)
            for index in range(1, len(self.classes))
        ]
        found = [each for one in maps for each in class_instances(one, self.classes)]
        return [found for _ in images]


class DiscReader(PhraseModel):
    """Reads text: finds the drawn disc, whatever it is asked for."""

    version = "disc-reader"

    def presence(self, image: np.ndarray, phrases: Sequence[str]) -> dict[str, float]:
        """Return certainty: everything is there."""
        return dict.fromkeys(phrases, 1.0)

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        """Return the disc as a thing of each name."""
        numbers = range(1, len(self.phrases) + 1)
        return [[Instance.of(disc_mask(DISC), n, 0.9) for n in numbers] for _ in images]


class DiscConcepts(ColourConcepts):
    """Finds the drawn disc, whatever is typed or shown."""

    def find(self, embedding: Embedding, wanted: Sequence[Wanted]) -> list[Instance]:
        """Return the disc once for each."""
        return [Instance.of(disc_mask(DISC), n, 0.9) for n in range(1, len(wanted) + 1)]


def typed_on(image: str, *texts: str) -> Json:
    """Return what Label Studio sends of a text that was entered."""
    return {
        **{"id": "t", "from_name": "prompt", "to_name": image, "type": "textarea"},
        "value": {"text": list(texts)},
    }


def _png() -> str:
    file = io.BytesIO()
    Image.fromarray(draw([DISC])).save(file, "PNG")
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


PICTURE = _png()


class Backends:
    """Both predictors with drawn pictures."""

    def __init__(
        self,
        folder: Path,
        model: SegmentationModel | None = None,
        concepts: ConceptModel | None = None,
    ) -> None:
        images = ImageSource(ImageSettings(image_cache_dir=folder))
        self.segmentation = SegmentationPredictor(model or Disc(), images, RegionSettings())
        finder = ConceptFinder(concepts, LruCache(1 << 24)) if concepts else None
        self.sam = SamPredictor(FillModel(), images, LruCache(1 << 24), finder)

    def predict(self, config: LabelConfig, data: Json) -> list[Json]:
        """Return the results of a batch of one task."""
        return self._one(self.segmentation.predict([_task(data)], None, **_how(config)))

    def click(self, config: LabelConfig, data: Json, *prompts: Json) -> list[Json]:
        """Return the results of an interactive call."""
        context = parse_context({"result": list(prompts)})
        return self._one(self.sam.predict([_task(data)], context, **_how(config)))

    def _one(self, answers: Any) -> list[Json]:
        (answer,) = answers
        assert isinstance(answer, Prediction), answer
        return [region.model_dump() for region in answer.result]


def _task(data: Json) -> Task:
    return Task(id=1, project=1, data=data)


def _how(config: LabelConfig) -> Json:
    return {"label_config": config, "deadline": Deadline.after(60)}


def fitting_data(config: LabelConfig) -> Json:
    """Return the data of a task: an image, or two pages, for each image tag, and labels."""
    images = {i.key: [PICTURE, PICTURE] if i.pages else PICTURE for i in config.images.values()}
    names = [{"value": name} for name in TASK_LABELS]
    return place([*images.items(), *((path, names) for path in _dynamic(config))])


def _dynamic(config: LabelConfig) -> set[str]:
    return {control.dynamic for control in config.controls if control.dynamic}


def prompts_of(config: LabelConfig, image: str) -> list[Json]:
    """Return what Label Studio sends of a smart tool of an image that is answered."""
    return next(all_prompts(config, image))


def all_prompts(config: LabelConfig, image: str) -> Iterator[list[Json]]:
    """Yield what Label Studio sends of each smart tool of an image that is answered.

    Args:
        config: Label config, with the labels of the task.
        image: Name of the image tag.
    """
    for tool in config.smart_tools():
        lost = config.lost_labels(tool)
        if tool.to_name == image and (not tool.labels or len(lost) < len(tool.labels)):
            label = next((each.value for each in tool.labels if each.value not in lost), None)
            yield from (_prompt(config, tool, label, value) for value in PROMPTS[tool.shape])


def _prompt(config: LabelConfig, tool: Control, label: str | None, value: Json) -> list[Json]:
    prompt: Json = {"id": "p", "from_name": tool.name, "to_name": tool.to_name, "type": tool.type}
    prompt |= {"original_width": 128, "original_height": 96, "is_positive": True}
    if config.images[tool.to_name].pages:
        prompt["item_index"] = 1
    if tool.has_own_list:
        return [prompt | {"value": value | {tool.type: [label]}}]
    listed = {"from_name": tool.labels_from, "type": "labels", "value": value | {"labels": [label]}}
    return [prompt | {"value": value}, *([prompt | listed] if label else [])]
