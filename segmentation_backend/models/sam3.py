"""SAM 3 as a segmentation model: finds what the labels of a config say."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ml_backend.embedding_store.base import Store, compute_once
from ml_backend.embedding_store.codec import Tensors
from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.embedding_store.tiers import open_store
from ml_backend.instances import Instance, apart
from ml_backend.lru import LruCache
from ml_backend.models.sam3 import ConceptNetwork, Query

KEPT_BYTES: Final = 256 << 20
"""Features of pictures that are cached without a store: 111 MB each with the published network."""

REDIS_SECONDS: Final = 10.0
"""Seconds to wait for Redis: the features of a picture take 0.1 s to 1 s on a network."""


@dataclass(frozen=True, eq=False)
class ConceptModel:
    """Holds the network and the labels of a config; thread-safe.

    Attributes:
        network: Network that finds what a phrase names.
        pictures: Cache of the features of pictures.
        phrases: Noun phrases by name of each thing to find; empty before ``for_phrases``.
    """

    network: ConceptNetwork
    pictures: Store[Tensors] = field(default_factory=lambda: LruCache[str, Tensors](KEPT_BYTES))
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, version: str, device: str) -> Self:
        """Load a folder in transformers' format, the image model's or the video model's.

        Raises:
            ModelError: The folder is damaged.
        """
        return cls(ConceptNetwork.load(folder, version, device))

    def with_store(self, settings: EmbeddingSettings, metrics: EmbeddingMetrics) -> Self:
        """See ``WithStore``; features stay float32, because answers equal the library's."""
        codec = self.network.image_codec
        pictures = open_store(settings, codec, metrics, answer_seconds=REDIS_SECONDS)
        network = replace(self.network, texts=pictures.of(self.network.text_codec))
        return replace(self, network=network, pictures=pictures)

    @property
    def version(self) -> str:
        """Version of the weights."""
        return self.network.version

    @property
    def classes(self) -> tuple[str, ...]:
        """The names, after the background; empty before ``for_phrases``."""
        return ("background", *self.phrases) if self.phrases else ()

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> "ConceptModel":
        """Return the model that finds these things; features are shared."""
        return replace(self, phrases=phrases)

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the labels' instances on (H, W, 3) uint8 RGB images; none shares a pixel."""
        return [apart(list(self.find(image))) for image in images]

    def find(self, image: npt.NDArray[np.uint8]) -> Iterator[Instance]:
        """Yield the instances of each phrase as the library does; they may overlap."""
        asked = [
            (number, Query(phrase))
            for number, phrases in enumerate(self.phrases.values(), start=1)
            for phrase in phrases
        ]
        if not asked:
            return
        queries = [query for _, query in asked]
        found = self.network.find(self._features_of(image), queries, _size(image))
        for (number, _), each in zip(asked, found, strict=True):
            yield from (replace(instance, class_index=number) for instance in each.instances)

    def presence(self, image: npt.NDArray[np.uint8], phrases: Sequence[str]) -> dict[str, float]:
        """Return for each phrase the confidence, 0..1, that an image shows such a thing."""
        features = self._features_of(image)
        found = self.network.find(features, [Query(phrase) for phrase in phrases], _size(image))
        return {phrase: each.presence for phrase, each in zip(phrases, found, strict=True)}

    def _features_of(self, image: npt.NDArray[np.uint8]) -> Tensors:
        content = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
        height, width = _size(image)
        key = f"{self.version}/features/{content}-{width}x{height}"
        return compute_once(self.pictures, key, lambda: self.network.features(image))


def _size(image: npt.NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
