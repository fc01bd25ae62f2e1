"""Frozen features of photographs, the input of learned heads."""

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
from segmentation_backend.models.embedded import EmbeddedGarmentModel

ENCODER: Final[Variant] = "lite2"
SIDES: Final = (384, 256, 512)  # longer sides of the reduced photograph, in pixels
# Weights of the squared weights in a head's loss: generic features have to be surer of themselves
# where those of the garment network say much already.
DECAY: Final = 5e-3
DECAY_BESIDE_GARMENTS: Final = 1.0
DECAY_OF_GARMENTS: Final = 0.03

Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Features:
    """Features of one photograph: a value, safe to cache and to share.

    Attributes:
        levels: Levels (D, h, w) float16; each spans the whole photograph. If the garment network is
            used too, the last level holds the logarithms of its probabilities.
    """

    levels: tuple[Halves, ...]

    def at(self, points: Floats) -> Halves:
        """Interpolate all levels at points.

        Args:
            points: Points (N, 2) x, y as fractions 0..1 of the photograph.

        Returns:
            (N, D) float16, the levels concatenated.
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
    """EfficientNet-Lite with ImageNet weights; thread-safe.

    Args:
        device: Device for the network: ``"cpu"`` or ``"cuda"``.
        garments: Whether to add the features and the answer of the shipped garment network.

    Attributes:
        version: Version of the features.
        decay: Penalties (D,) float32 for the squared weights of the features in a head; the answer
            of the garment network is no feature.

    Raises:
        ModelError: The package with the weights is not installed, or its file is damaged.
    """

    def __init__(self, device: str = "cpu", *, garments: bool = False) -> None:
        with torch.device("meta"):  # random initial weights would take a second
            encoder = EfficientNetLite(ENCODER)
        load_imagenet(encoder, ENCODER)
        self._encoder = encoder
        self._dtype = speed_up(encoder, device)
        self._device = device
        self._garments = EmbeddedGarmentModel.load(device=device) if garments else None
        parts = [ENCODER, SHA256[ENCODER][:8], *map(str, SIDES)]
        self.version = "-".join(parts + ([self._garments.version, "2"] if self._garments else []))
        self.decay = self._decay()

    def _decay(self) -> Floats:
        widths = self._encoder.widths
        generic = sum(widths[2:]) + (len(SIDES) - 1) * sum(widths[3:])
        if not self._garments:
            return np.full(generic, DECAY, np.float32)
        parts = (generic, DECAY_BESIDE_GARMENTS), (self._garments.width, DECAY_OF_GARMENTS)
        return np.concatenate([np.full(size, decay, np.float32) for size, decay in parts])

    @torch.inference_mode()
    def extract(self, image: Pixels) -> Features:
        """Extract features of an (H, W, 3) uint8 RGB image at several sizes."""
        fine, *others = (self._look(image, side) for side in SIDES)
        levels = [*fine, *(level for levels in others for level in levels[1:])]
        if self._garments:
            levels += map(_as_halves, self._garments.features(image))
        return Features(tuple(levels))

    def _look(self, image: Pixels, side: int) -> list[Halves]:
        """Return features at 1/8, 1/16 and 1/32 of an image reduced to ``side``."""
        small = torch.from_numpy(_reduced(image, side))[None].to(self._device)
        return [_as_halves(x) for x in self._encoder(as_input(small, self._dtype))[2:]]


def _reduced(image: Pixels, side: int) -> Pixels:
    """Reduce the longer side to ``side``, and both sides to multiples of the stride."""
    scale = side / max(image.shape[:2])
    height, width = (
        max(STRIDE, round(length * scale / STRIDE) * STRIDE) for length in image.shape[:2]
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _as_halves(level: Tensor) -> Halves:
    # Contiguous, because safetensors would store a channels-last array in memory order.
    return np.ascontiguousarray(level[0].to("cpu", torch.float16).numpy())
