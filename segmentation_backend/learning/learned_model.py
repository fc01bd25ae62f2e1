"""Model of a project: a head on frozen features, with some labels left to the shipped model."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from ml_backend.errors import ModelError
from ml_backend.models.blocks import read_weights
from segmentation_backend.learning.calibration import Calibration
from segmentation_backend.learning.edges import refine
from segmentation_backend.learning.features import FeatureExtractor, Features, Floats, Pixels
from segmentation_backend.learning.head import Head
from segmentation_backend.learning.presence import adjusted
from segmentation_backend.models.base import ClassMap, Instance, Mask, SegmentationModel, decide
from segmentation_backend.models.embedded import expected_ious
from segmentation_backend.models.things import class_instances, inside


@cache
def shared_extractor(device: str, *, garments: bool = False) -> FeatureExtractor:
    """Return the extractor of this kind, shared by all projects of this process."""
    return FeatureExtractor(device, garments=garments)


@dataclass(frozen=True)
class Recipe:
    """Parameters of a head.

    Attributes:
        classes: Class names: "background", then label values.
        extractor: Version of the feature extractor.
        garments: Whether features of the garment network are included.
        shipped: Classes of the shipped model by label that is left to it.
        whole: Labels of ``shipped`` whose regions cover the labels that the head has learned.
        countable: Labels that one image may show several instances of.
        learned_from: Identities of the images that the head was fitted to, if some of them will be
            held out once there are more.
        calibration: Calibration of the scores.
    """

    classes: tuple[str, ...]
    extractor: str
    garments: bool = False
    shipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    countable: tuple[str, ...] = ()
    learned_from: tuple[str, ...] = ()
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Parse what ``text`` returns.

        Raises:
            KeyError, TypeError, ValueError: The text has another form.
        """
        values: dict[str, Any] = json.loads(text)
        return cls(
            classes=tuple(map(str, values["classes"])),
            extractor=str(values["extractor"]),
            garments=bool(values["garments"]),
            shipped={label: tuple(names) for label, names in values["shipped"].items()},
            whole=tuple(values.get("whole", ())),
            countable=tuple(values["countable"]),
            learned_from=tuple(values["learned_from"]),
            calibration=Calibration(**values["calibration"]),
        )

    def text(self) -> str:
        """Return the recipe as JSON."""
        return json.dumps(asdict(self))


class LearnedModel:
    """Finds a project's labels; thread-safe.

    Args:
        head: Classifier of pixels.
        recipe: Parameters of the head.
        extractor: Extractor of the features that the head was fitted to.
        base: Model of projects that have learned nothing.
    """

    def __init__(
        self, head: Head, recipe: Recipe, extractor: FeatureExtractor, base: SegmentationModel
    ) -> None:
        self.recipe = recipe
        self.base = base
        self._extractor = extractor
        self._head = head
        self._shipped = {
            recipe.classes.index(label): [n for n, name in enumerate(base.classes) if name in names]
            for label, names in recipe.shipped.items()
        }
        self._whole = {recipe.classes.index(label) for label in recipe.whole}

    @property
    def version(self) -> str:
        """Digest of the head and its recipe."""
        content = self._head.weights.tobytes() + self.recipe.text().encode()
        return f"learned-{hashlib.sha256(content).hexdigest()[:8]}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names: "background", then label values."""
        return self.recipe.classes

    @classmethod
    def load(cls, path: Path, base: SegmentationModel, device: str = "cpu") -> "LearnedModel":
        """Read a model written by ``save``.

        Args:
            path: Path of the file.
            base: Model of projects that have learned nothing.
            device: Device for the network: ``"cpu"`` or ``"cuda"``.

        Raises:
            ModelError: The file is missing, damaged or from another version of segstudio.
        """
        weights = read_weights(path)
        try:
            recipe = Recipe.parse(weights.metadata["recipe"])
            extractor = shared_extractor(device, garments=recipe.garments)
            tensors = weights.tensors
            head = Head(
                tensors["weights"].numpy(),
                tensors["bias"].numpy(),
                tensors["shares"].numpy(),
                tuple(tensors["owners"].tolist()),
            )
            fits = recipe.extractor == extractor.version and len(recipe.classes) == len(head.bias)
        except (KeyError, TypeError, ValueError) as error:
            raise _unusable(path, repr(error)) from error
        if not fits:
            raise _unusable(path, f"it is made for features {recipe.extractor!r}")
        return cls(head, recipe, extractor, base)

    def save(self, path: Path) -> None:
        """Write the model as safetensors; raises OSError where that is impossible."""
        head = self._head
        tensors = {
            "weights": torch.from_numpy(head.weights),
            "bias": torch.from_numpy(head.bias),
            "shares": torch.from_numpy(head.shares),
            "owners": torch.tensor(head.owners, dtype=torch.int64),
        }
        save_file(tensors, path, {"recipe": self.recipe.text()})

    def with_recipe(self, **changes: Any) -> "LearnedModel":
        """Return the model with other parameters."""
        return LearnedModel(self._head, replace(self.recipe, **changes), self._extractor, self.base)

    def segment(self, images: Sequence[Pixels]) -> list[list[Instance]]:
        """Find the labels on (H, W, 3) uint8 RGB images of any sizes."""
        return [self.answer(self._extractor.extract(image), image) for image in images]

    def answer(self, features: Features, image: Pixels) -> list[Instance]:
        """Return the instances on an (H, W, 3) uint8 RGB image with known features."""
        found, free = self._classified(features, image)
        shipped = self._from_shipped(image, free) if self._shipped else []
        for each in shipped:
            found.indices[each.mask] = 0
        countable = self.recipe.countable
        return class_instances(found, self.classes, countable=countable) + shipped

    def _classified(self, features: Features, image: Pixels) -> tuple[ClassMap, Mask]:
        """Return the head's choice among its own labels, and where it would choose none of them.

        The (H, W) mask is the background and the labels that are left to the shipped model.
        """
        chances = adjusted(_softmax(self._head.logits(features)), self._head.shares)
        labels = np.arange(len(chances), dtype=np.uint8)
        own = np.delete(labels, list(self._shipped))
        likely = np.union1d(labels[chances.argmax(0)], own[chances[own].argmax(0)])
        rows = np.flatnonzero(np.isin(likely, own))
        sharp = refine(chances[likely], image)
        scores = np.zeros(len(chances), np.float32)
        scores[likely[rows]] = self.recipe.calibration.apply(expected_ious(sharp[rows]))
        size = (image.shape[0], image.shape[1])
        indices = likely[decide(sharp, size, rows)]
        best = likely[decide(sharp, size)] if self._shipped else indices
        return ClassMap(indices, scores), np.isin(best, [0, *self._shipped])

    def _from_shipped(self, image: Pixels, free: Mask) -> list[Instance]:
        """Return the shipped model's instances of the labels left to it.

        Args:
            image: Photograph (H, W, 3) uint8 RGB.
            free: Pixels (H, W) bool that the head gives to none of its own labels.
        """
        owner = {number: label for label, numbers in self._shipped.items() for number in numbers}
        found = []
        for each in self.base.segment([image])[0]:
            label = owner.get(each.class_index, 0)
            part = each.crop if label in self._whole else each.crop & free[each.box]
            if label and part.any():
                found.append(replace(inside(each, part), class_index=label))
        return found


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(0))
    return np.asarray(powers / powers.sum(0), np.float32)


def _unusable(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"the learned model {path} cannot be used: {reason}",
        "let the project learn again: segstudio learn --project ID",
    )
