"""Garment network that ships with the project: no download, runs on a CPU."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ml_backend.errors import ModelError
from ml_backend.models.blocks import STRIDE, Weights, load_network, read_weights
from ml_backend.models.efficientnet import as_input
from segmentation_backend.classes import BODY_CLASSES, COUNTABLE_CLASSES, PAIRED_CLASSES
from segmentation_backend.models.base import ClassMap, Instance, decide
from segmentation_backend.models.network import GarmentNetwork
from segmentation_backend.models.things import class_instances

WEIGHTS: Final = Path(__file__).with_name("embedded.safetensors")
LONGEST: Final = 1024  # sides of the reduced photograph, however slim it is
SHARPNESS: Final = 8.0  # how clearly the best class of a group takes the whole group
SMOOTHNESS: Final = 0.09  # of the width: how far around a pixel the best class of a group is sought
LEAST_CHANCE: Final = 1e-3  # that other heads get to see
COARSE: Final = 4  # pixels in one, where that neighbourhood is averaged

TOGETHER: Final = 4  # images that go through at once: 9 % quicker than alone, more are no quicker

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Parameters for using the weights, stored in their file.

    Attributes:
        classes: Names; index 0 is the background.
        groups: Number of the group of easily confused classes, for each class.
        priors: Factor for the probability, for each class.
        areas: Approximate pixels of each size that a photograph is reduced to, ascending.
        slope: Slope of the calibration of scores, on the logit scale.
        offset: Offset of the calibration of scores, on the logit scale.
    """

    classes: tuple[str, ...]
    groups: tuple[int, ...]
    priors: tuple[float, ...]
    areas: tuple[int, ...]
    slope: float
    offset: float

    @classmethod
    def read(cls, weights: Weights) -> "Recipe":
        """Read the parameters from the metadata of ``weights``.

        Raises:
            ModelError: The metadata are missing or invalid.
        """
        try:
            values = {name: json.loads(text) for name, text in weights.metadata.items()}
            classes, groups = tuple(map(str, values["classes"])), tuple(map(int, values["groups"]))
            priors = tuple(map(float, values["priors"]))
            slope, offset = map(float, values["calibration"])
            areas = tuple(map(int, values["areas"]))
            return cls(classes, groups, priors, areas, slope, offset)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The weights do not say how to use them: {error!r}",
                "they were made by another version of segstudio; reinstall it",
            ) from error

    def metadata(self) -> dict[str, str]:
        """Return the metadata that ``read`` parses."""
        values = asdict(self)
        calibration = values.pop("slope"), values.pop("offset")
        return {
            name: json.dumps(value)
            for name, value in {**values, "calibration": calibration}.items()
        }


class EmbeddedGarmentModel:
    """Holds the network and no image; thread-safe.

    Args:
        network: Network prepared for inference.
        recipe: Parameters for using it.
        version: Version of the weights.
        dtype: Type of the network's input.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self,
        network: GarmentNetwork,
        recipe: Recipe,
        version: str,
        dtype: torch.dtype,
        device: str = "cpu",
    ) -> None:
        self._network = network
        self._recipe = recipe
        self._dtype = dtype
        self._device = device
        self.version = version

    @classmethod
    def load(cls, path: Path | None = None, device: str = "cpu") -> "EmbeddedGarmentModel":
        """Load the shipped weights, or those at ``path``.

        Raises:
            ModelError: The weights are missing, damaged or for another network.
        """
        weights = read_weights(path or WEIGHTS)
        recipe = Recipe.read(weights)
        make = partial(GarmentNetwork, len(recipe.classes))
        network, dtype = load_network(make, weights, device)
        return cls(network, recipe, f"embedded-2-{weights.digest}", dtype, device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background."""
        return self._recipe.classes

    @property
    def width(self) -> int:
        """Channels of the decoder's output."""
        return self._network.head.in_channels

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the garments on (H, W, 3) uint8 RGB images of any sizes."""
        return [garment_instances(each, self.classes) for each in self.classify(images)]

    def classify(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[ClassMap]:
        """Classify every pixel of (H, W, 3) uint8 RGB images of any sizes."""
        maps: dict[int, ClassMap] = {}
        for numbers in _alike([image.shape for image in images]):
            found = self.chances([images[number] for number in numbers])
            for number, chances in zip(numbers, found, strict=True):
                maps[number] = self._class_map(chances, images[number].shape)
        return [maps[number] for number in range(len(images))]

    def _class_map(self, chances: Floats, shape: tuple[int, ...]) -> ClassMap:
        grouped = by_group(chances, self._recipe.groups)
        return ClassMap(
            decide(grouped, (shape[0], shape[1]), np.unique(grouped.argmax(0))),
            self._calibrated(expected_ious(grouped)),
        )

    @torch.inference_mode()
    def chances(self, images: Sequence[npt.NDArray[np.uint8]]) -> Floats:
        """Return class probabilities, averaged over the sizes of the recipe.

        Args:
            images: Photographs (H, W, 3) uint8 RGB, all of one size.

        Returns:
            (B, C, h, w) probabilities at half of the largest size. Mirrored images are not used:
            strides are padded on one side, so a mirrored answer is shifted by a pixel.
        """
        return self._averaged(images, self._decoded(images, self._recipe.areas[-1]))

    @torch.inference_mode()
    def features(self, image: npt.NDArray[np.uint8]) -> list[Tensor]:
        """Return features of an (H, W, 3) uint8 RGB image, for other heads.

        Returns:
            (1, D, h, w) each at 1/8 of the largest size: the decoder's output, and the logarithms
            of ``chances``.
        """
        decoded = self._decoded([image], self._recipe.areas[-1])
        chances = functional.avg_pool2d(torch.from_numpy(self._averaged([image], decoded)), 4)
        return [functional.avg_pool2d(decoded, 2), chances.clamp_min(LEAST_CHANCE).log()]

    def _averaged(self, images: Sequence[npt.NDArray[np.uint8]], largest: Tensor) -> Floats:
        """Return what ``chances`` does.

        Args:
            images: Photographs (H, W, 3) uint8 RGB, all of one size.
            largest: The decoder's output for the largest size. It comes first, so that the others
                find room in the memory that it has left.
        """
        looks = [self._classified(largest)]
        size = looks[0].shape[-2:]
        for area in self._recipe.areas[-2::-1]:
            look = self._classified(self._decoded(images, area))
            looks.append(functional.interpolate(look, size=size, mode="bilinear"))
        mean = torch.stack(looks[::-1]).mean(0)
        weighed = functional.avg_pool2d(mean, 3, 1, 1, count_include_pad=False)
        weighed *= torch.tensor(self._recipe.priors, device=weighed.device)[:, None, None]
        weighed /= weighed.sum(1, keepdim=True)
        return np.asarray(weighed.cpu().numpy(), np.float32)

    def _decoded(self, images: Sequence[npt.NDArray[np.uint8]], area: int) -> Tensor:
        """Return the decoder's (B, D, h, w) output for photographs of about ``area`` pixels."""
        size = reduced_size(images[0].shape[0], images[0].shape[1], area)
        small = np.stack(
            [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
        ).astype(np.uint8, copy=False)
        pixels = as_input(torch.from_numpy(small).to(self._device), self._dtype)
        decoded: Tensor = self._network.decoder(self._network.encoder(pixels)[1:])
        return decoded

    def _classified(self, decoded: Tensor) -> Tensor:
        """Return the (B, C, 2h, 2w) probabilities for a decoder's output."""
        return self._network.classify(decoded).float().softmax(1)

    def _calibrated(self, scores: Floats) -> Floats:
        inner = np.clip(scores, 1e-4, 1 - 1e-4)
        stretched = self._recipe.slope * np.log(inner / (1 - inner)) + self._recipe.offset
        return np.where(scores > 0, 1 / (1 + np.exp(-stretched)), 0).astype(np.float32)


def garment_instances(class_map: ClassMap, classes: Sequence[str]) -> list[Instance]:
    """Return the garments on a class map; one for each person, and both shoes."""
    return class_instances(
        class_map,
        classes,
        countable=COUNTABLE_CLASSES,
        pairs=PAIRED_CLASSES,
        bodies=BODY_CLASSES,
    )


def _alike(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Yield the positions of images of equal shape, at most ``TOGETHER`` at a time."""
    order = sorted(range(len(shapes)), key=shapes.__getitem__)
    for _, same in groupby(order, shapes.__getitem__):
        numbers = list(same)
        for start in range(0, len(numbers), TOGETHER):
            yield numbers[start : start + TOGETHER]


def reduced_size(height: int, width: int, area: int) -> tuple[int, int]:
    """Return height and width of about ``area`` pixels, multiples of the network's stride."""
    scale = (area / (height * width)) ** 0.5
    sides = (
        min(LONGEST, max(STRIDE, round(side * scale / STRIDE) * STRIDE)) for side in (height, width)
    )
    return next(sides), next(sides)


def by_group(chances: Floats, groups: Sequence[int]) -> Floats:
    """Assign the pixels of each group to its best class in the neighborhood.

    So confusions do not cost the group its pixels, and a garment does not break into patches of
    several labels. The extent of a group is decided pixel by pixel.

    Args:
        chances: Probabilities (C, h, w).
        groups: Number of the group of each class.
    """
    decided = chances.copy()
    height, width = chances.shape[1:]
    small = (-(-width // COARSE), -(-height // COARSE))
    for group in set(groups):
        members = [number for number, other in enumerate(groups) if other == group]
        if len(members) > 1:
            around = (_blurred(chances[number], small) ** SHARPNESS for number in members)
            shares = np.stack(list(around))
            shares /= shares.sum(0) + np.float32(1e-12)
            total = chances[members].sum(0)
            for number, share in zip(members, shares, strict=True):
                decided[number] = total * cv2.resize(share, (width, height))
    return decided


def _blurred(plane: Floats, size: tuple[int, int]) -> Floats:
    """Return ``plane`` (h, w) at ``size`` (columns, rows), each pixel a local mean."""
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SMOOTHNESS * size[0]), np.float32)


def expected_ious(chances: Floats) -> Floats:
    """Return (C,) the expected intersection over the expected union of each class's region."""
    taken, classes = chances.argmax(0).ravel(), len(chances)
    inside = np.bincount(taken, chances.max(0).ravel(), classes)
    union = np.bincount(taken, minlength=classes) + chances.sum((1, 2)) - inside
    return np.asarray(inside / np.maximum(union, 1e-9), np.float32)
