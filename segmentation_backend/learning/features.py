"""Frozen features of photographs: what learned heads look at."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ml_backend.models.blocks import STRIDE, speed_up
from ml_backend.models.efficientnet import EfficientNetLite, Variant, as_input
from ml_backend.models.imagenet import SHA256, load_imagenet

ENCODER: Final[Variant] = "lite0"
SIDE: Final = 384  # longer side of the reduced photograph, in pixels

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one photograph: a value, safe to keep and to share.

    Attributes:
        levels: (D, h, w) float16 each, the finest first; every level spans the whole photograph,
            and the last one, (D, 1, 1), describes it as a whole.
    """

    levels: tuple[Halves, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Features of each level."""
        return tuple(len(level) for level in self.levels)

    def at(self, points: Floats) -> Halves:
        """Sample all levels between their cells.

        Args:
            points: (N, 2) in 0..1, x before y, in fractions of the photograph.

        Returns:
            (N, D) float16, the levels one after the other.
        """
        grid = torch.from_numpy(points * 2 - 1)[None, None]
        sampled = [
            functional.grid_sample(
                torch.from_numpy(level.astype(np.float32))[None],
                grid,
                padding_mode="border",
                align_corners=False,
            )[0, :, 0]
            for level in self.levels
        ]
        return np.asarray(torch.cat(sampled).T.numpy(), np.float16)


class FeatureExtractor:
    """An EfficientNet-Lite with ImageNet weights; threads may share it.

    Args:
        device: "cpu" or "cuda".

    Raises:
        ModelError: The package with the weights is not installed, or its file is damaged.
    """

    def __init__(self, device: str = "cpu") -> None:
        encoder = EfficientNetLite(ENCODER)
        load_imagenet(encoder, ENCODER)
        self._encoder = encoder
        self._dtype = speed_up(encoder, device)
        self._device = device
        self.version = f"{ENCODER}-{SHA256[ENCODER][:8]}-{SIDE}"

    @torch.inference_mode()
    def extract(self, image: Pixels) -> Features:
        """Look at an (H, W, 3) uint8 RGB image."""
        small = torch.from_numpy(_reduced(image))[None].to(self._device)
        features = self._encoder(as_input(small, self._dtype))
        levels = [features[2], features[3], features[4], features[4].mean((2, 3), keepdim=True)]
        return Features(tuple(_as_halves(level) for level in levels))


def _reduced(image: Pixels) -> Pixels:
    """Bring the longer side to ``SIDE`` and both to multiples of the encoder's stride."""
    scale = SIDE / max(image.shape[:2])
    height, width = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _as_halves(level: Tensor) -> Halves:
    # Contiguous: safetensors would store the memory of a channels-last array as it lies.
    return np.ascontiguousarray(level[0].to("cpu", torch.float16).numpy())
