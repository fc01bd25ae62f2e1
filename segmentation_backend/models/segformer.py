"""SegFormer (Xie et al., 2021) through transformers, fine-tuned on clothes.

Weights: https://huggingface.co/mattmdjaga/segformer_b2_clothes; 18 classes, ATR's, of which hair,
face and limbs belong to no garment.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
)

from ml_backend.models.blocks import fast_dtype
from ml_backend.models.checkpoints import Checkpoint
from ml_backend.models.pretrained import network_inputs, read_pretrained
from segmentation_backend.models.base import ClassMap, Instance, decide
from segmentation_backend.models.things import class_instances


class SegformerGarmentModel:
    """Holds the network and no image; thread-safe.

    Args:
        network: Network on its device, in the type that it computes in.
        processor: Processor from the same folder.
        version: Version of the weights.
    """

    def __init__(
        self,
        network: SegformerForSemanticSegmentation,
        processor: SegformerImageProcessor,
        version: str,
    ) -> None:
        self._network = network
        self._processor = processor
        self._version = version

    @classmethod
    def load(
        cls,
        weights: Checkpoint,
        models_dir: Path,
        device: str,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Load published weights after verifying them.

        Args:
            weights: Checkpoint; architecture, classes and image size are in the files next to it.
            models_dir: Folder of the weights.
            device: Device for the network: ``cpu`` or ``cuda``.
            dtype: Type to compute in; None: bfloat16 if the device computes in it.

        Raises:
            ModelError: A file is missing or damaged.
        """
        folder = weights.check(models_dir)
        # A verified folder, not a name on a hub.
        config = SegformerConfig.from_pretrained(folder, local_files_only=True)  # nosec B615
        network: Any = read_pretrained(SegformerForSemanticSegmentation, folder, config)
        processor = SegformerImageProcessor.from_pretrained(  # nosec B615
            folder, local_files_only=True
        )
        return cls(network.to(device, dtype or fast_dtype(device)), processor, weights.version)

    @property
    def version(self) -> str:
        """Version with architecture and weights."""
        return self._version

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background."""
        names: Any = self._network.config.id2label
        return tuple(names[index] for index in range(len(names)))

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the garments on (H, W, 3) uint8 RGB images of any sizes, one of each class."""
        return [class_instances(self.classify(image), self.classes) for image in images]

    @torch.inference_mode()
    def classify(self, image: npt.NDArray[np.uint8]) -> ClassMap:
        """Classify every pixel of an (H, W, 3) uint8 RGB image."""
        inputs = network_inputs(self._processor, image)
        pixels = inputs["pixel_values"].to(self._network.device, self._network.dtype)
        logits = self._network(pixel_values=pixels).logits[0].float().cpu()
        indices = decide(logits.numpy(), (image.shape[0], image.shape[1]))
        return ClassMap(indices, confidence(logits, indices).numpy())


def confidence(logits: Tensor, indices: npt.NDArray[np.uint8]) -> Tensor:
    """Return the mean probability of each class where it is the likeliest, before enlarging.

    Enlarging can reveal a class that is nowhere the likeliest: it gets its largest probability.

    Args:
        logits: Logits (C, h, w) float32.
        indices: Class indices (H, W) uint8 from ``decide``.

    Returns:
        (C,) float32 in 0..1; 0 where the class is not in ``indices``.
    """
    chances = logits.softmax(0).flatten(1)
    taken = functional.one_hot(chances.argmax(0), len(chances)).T
    areas = taken.sum(1)
    means = (chances * taken).sum(1) / areas.clamp(min=1)
    appears = torch.from_numpy(np.bincount(indices.ravel(), minlength=len(chances)) > 0)
    return torch.where(areas > 0, means, chances.amax(1)) * appears
