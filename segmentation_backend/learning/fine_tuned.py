"""Garment network fine-tuned on a project's labels."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from safetensors.torch import save_file
from torch import Tensor

from ml_backend.models.blocks import Weights, load_network
from segmentation_backend.learning.features import Pixels
from segmentation_backend.models.base import Instance, SegmentationModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel, Recipe
from segmentation_backend.models.network import GarmentNetwork
from segmentation_backend.models.things import class_instances

COUNTABLE: Final = "countable"


class FineTunedModel:
    """Finds a project's labels with its own network; thread-safe.

    Args:
        weights: Parameters and metadata, as in the file.
        base: Model of projects that have learned nothing.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelError: The weights are for another network, or their metadata are invalid.
    """

    def __init__(self, weights: Weights, base: SegmentationModel, device: str = "cpu") -> None:
        recipe = Recipe.read(weights)
        make = partial(GarmentNetwork, len(recipe.classes))
        network, dtype = load_network(make, weights, device)
        self.base = base
        self.version = f"fine-tuned-{weights.digest}"
        self._weights = weights
        self._countable = tuple(json.loads(weights.metadata.get(COUNTABLE, "[]")))
        self._model = EmbeddedGarmentModel(network, recipe, self.version, dtype, device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names: "background", then label values."""
        return self._model.classes

    def save(self, path: Path) -> None:
        """Write the model as safetensors; raises OSError where that is impossible."""
        save_file(dict(self._weights.tensors), path, dict(self._weights.metadata))

    def segment(self, images: Sequence[Pixels]) -> list[list[Instance]]:
        """Find the labels on (H, W, 3) uint8 RGB images of any sizes."""
        return [
            class_instances(found, self.classes, countable=self._countable)
            for found in self._model.classify(images)
        ]


def metadata(recipe: Recipe, countable: Sequence[str]) -> Mapping[str, str]:
    """Return the metadata for a file of fine-tuned weights."""
    return {**recipe.metadata(), COUNTABLE: json.dumps(countable)}


def adapted(shipped: Mapping[str, Tensor], rows: Sequence[int | None]) -> dict[str, Tensor]:
    """Return the shipped parameters with a head of other classes.

    Args:
        shipped: Parameters of a GarmentNetwork.
        rows: Shipped class whose row each new class starts from; None: a class that is never
            predicted at first.
    """
    fresh = GarmentNetwork(len(rows)).state_dict()
    tensors = {name: t.float() for name, t in shipped.items()}
    for layer, group in (("head", 4), ("presence", 1)):
        for kind in ("weight", "bias"):
            name = f"{layer}.{kind}"
            old, new = tensors[name], 0.1 * fresh[name]
            for number, row in enumerate(rows):
                place = slice(number * group, (number + 1) * group)
                if row is not None:
                    new[place] = old[row * group : (row + 1) * group]
                elif kind == "bias":
                    new[place] = old[:group] - 3
            tensors[name] = new
    return tensors
