"""Frozen features of photographs, the input of learned heads."""

from collections.abc import Mapping
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

# Longer sides, in pixels, of the reduced photographs that each network sees; the first one gives
# the finest features. Labels of garments differ in fabric, which only large photographs show, and
# two networks tell fabrics apart better than one.
SIDES: Final[Mapping[Variant, tuple[int, ...]]] = {"lite2": (384, 256, 512)}
SIDES_BESIDE_GARMENTS: Final[Mapping[Variant, tuple[int, ...]]] = {
    "lite2": (384, 640),
    "lite1": (448, 576),
}
# Weights of the squared weights in a head's loss: generic features have to be surer of themselves
# where those of the garment network say much already.
DECAY: Final = 5e-3
DECAY_BESIDE_GARMENTS: Final = 0.7
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
        self._device = device
        looks = SIDES_BESIDE_GARMENTS if garments else SIDES
        encoders = {variant: _Encoder(variant, device) for variant in looks}
        self._looks = [(encoders[variant], side) for variant in looks for side in looks[variant]]
        self._garments = EmbeddedGarmentModel.load(device=device) if garments else None
        parts = [
            part
            for variant, sides in looks.items()
            for part in (variant, SHA256[variant][:8], *map(str, sides))
        ]
        self.version = "-".join(parts + ([self._garments.version, "2"] if self._garments else []))
        self.decay = self._decay()

    def _decay(self) -> Floats:
        widths = [encoder.widths for encoder, _ in self._looks]
        generic = widths[0][0] + sum(sum(each[1:]) for each in widths)
        if not self._garments:
            return np.full(generic, DECAY, np.float32)
        parts = (generic, DECAY_BESIDE_GARMENTS), (self._garments.width, DECAY_OF_GARMENTS)
        return np.concatenate([np.full(size, decay, np.float32) for size, decay in parts])

    @torch.inference_mode()
    def extract(self, image: Pixels) -> Features:
        """Extract features of an (H, W, 3) uint8 RGB image at several sizes."""
        fine, *others = (self._look(image, *look) for look in self._looks)
        levels = [*fine, *(level for levels in others for level in levels[1:])]
        if self._garments:
            levels += map(_as_halves, self._garments.features(image))
        return Features(tuple(levels))

    def _look(self, image: Pixels, encoder: "_Encoder", side: int) -> list[Halves]:
        """Return features at 1/8, 1/16 and 1/32 of an image reduced to ``side``."""
        small = torch.from_numpy(_reduced(image, side))[None].to(self._device)
        return [_as_halves(level) for level in encoder(small)]


class _Encoder:
    """EfficientNet-Lite with ImageNet weights.

    Attributes:
        widths: Channels of the features at 1/8, 1/16 and 1/32.
    """

    def __init__(self, variant: Variant, device: str) -> None:
        with torch.device("meta"):  # random initial weights would take a second
            self._network = EfficientNetLite(variant)
        load_imagenet(self._network, variant)
        self._dtype = speed_up(self._network, device)
        self.widths = self._network.widths[2:]

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """Return features of (1, H, W, 3) uint8 RGB at 1/8, 1/16 and 1/32."""
        features: list[Tensor] = self._network(as_input(pixels, self._dtype))[2:]
        return features


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
