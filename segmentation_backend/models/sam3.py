"""SAM 3 as a segmentation model: finds what the labels of a config say."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ml_backend.instances import Instance, apart
from ml_backend.lru import LruCache
from ml_backend.models.sam3 import ConceptNetwork, Features, Query

KEPT_BYTES: Final = 256 << 20
"""Number of pictures whose features are cached: 110 MB each with the published network."""


@dataclass(frozen=True, eq=False)
class ConceptModel:
    """Holds the network and the labels of a config; thread-safe.

    Attributes:
        network: Network that finds what a phrase names.
        version: Version of the weights.
        phrases: Noun phrases by name of each thing to find; empty before ``for_phrases``.
    """

    network: ConceptNetwork
    version: str
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _kept: LruCache[str, Features] = field(default_factory=lambda: LruCache(KEPT_BYTES))

    @classmethod
    def load(cls, folder: Path, version: str, device: str) -> Self:
        """Load a folder in transformers' format, the image model's or the video model's.

        Raises:
            ModelError: The folder is damaged.
        """
        return cls(ConceptNetwork.load(folder, device), version)

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

    def _features_of(self, image: npt.NDArray[np.uint8]) -> Features:
        key = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() + str(image.shape)
        features = self._kept.get(key)
        if features is None:
            features = self.network.features(image)
            self._kept.put(key, features)
        return features


def _size(image: npt.NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
