"""SAM 3 (Carion et al., 2025): its tracker answers boxes and clicks, its detector finds concepts.

Weights: https://huggingface.co/facebook/sam3 (SAM License; gated).
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from ml_backend.embedding_store.codec import Tensors
from ml_backend.instances import Instance, apart
from ml_backend.models.memory import recovering_memory
from ml_backend.models.sam3 import (
    LIKE_THE_BOX,
    ConceptNetwork,
    Query,
    feature_shapes,
)
from sam_backend.models.base import Embedding, Layout, Wanted
from sam_backend.models.sam2 import SegmentAnything2


class SegmentAnything3(SegmentAnything2):
    """Tracker with the detector of the same folder."""

    concepts: "Sam3Concepts"

    @classmethod
    def load_folder(
        cls, folder: Path, version: str, device: str, dtype: torch.dtype | None = None
    ) -> Self:
        """Load a folder in transformers' format; the detector is loaded on first use.

        Raises:
            ModelError: The folder is damaged, or contains a model of another kind.
        """
        model = super().load_folder(folder, version, device, dtype)
        model.concepts = Sam3Concepts(folder, f"{version}-concepts", device)
        return model


class Sam3Concepts:
    """Finds all things that a phrase names or that resemble an example.

    Args:
        folder: Folder in transformers' format.
        version: Version of the weights.
        device: Device for the network: ``cpu`` or ``cuda``.
    """

    def __init__(self, folder: Path, version: str, device: str) -> None:
        self.version = version
        self.device = device
        self._folder = folder
        self._shapes = feature_shapes(folder)
        self._loading = threading.Lock()

    @cached_property
    def _loaded(self) -> ConceptNetwork:
        return ConceptNetwork.load(self._folder, self.version, self.device)

    @property
    def _network(self) -> ConceptNetwork:
        """Network, loaded on first use to save memory.

        Raises:
            ModelError: The folder is damaged.
        """
        with self._loading:
            return self._loaded

    def layout(self, height: int, width: int) -> Layout:  # noqa: ARG002 - squeezed to one square
        """See ``Embedder.layout``."""
        return {f"level_{n}": (shape, torch.float16) for n, shape in enumerate(self._shapes)}

    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image, (H, W, 3) uint8 RGB; the finest level is ``level_0``."""
        height, width = image.shape[:2]
        with recovering_memory(height, width):
            features = self._network.features(image)
        return Embedding(height, width, features.by_name)

    def find(self, embedding: Embedding, wanted: Sequence[Wanted]) -> list[Instance]:
        """See ``ConceptModel.find``."""
        height, width = embedding.height, embedding.width
        features = Tensors(embedding.tensors)
        queries = [
            Query(
                each.phrase or LIKE_THE_BOX,
                tuple(box.scaled(width, height) for box in each.boxes),
            )
            for each in wanted
        ]
        with recovering_memory(height, width):
            found = self._network.find(features, queries, (height, width))
            return apart([instance for each in found for instance in each.instances])
