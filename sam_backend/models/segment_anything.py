"""Segment Anything (Kirillov et al., 2023) through Meta's ``segment-anything`` package.

Checkpoints: https://github.com/facebookresearch/segment-anything#model-checkpoints (Apache-2.0).
"""

import zipfile
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from segment_anything import sam_model_registry  # type: ignore[import-untyped]
from segment_anything.modeling import Sam  # type: ignore[import-untyped]
from segment_anything.utils.transforms import ResizeLongestSide  # type: ignore[import-untyped]
from torch import Tensor
from torchvision.transforms.functional import (  # type: ignore[import-untyped]
    resize,
    to_pil_image,
)

from ml_backend.models.blocks import autocast, fast_dtype
from ml_backend.models.checkpoints import Checkpoint
from sam_backend.models.base import Embedding, Layout, Mask, Prompts


class SegmentAnything:
    """Answers like the package's own ``SamPredictor``, but stores no image.

    Args:
        sam: Network on its device, in float32.
        version: Version of the weights.
        dtype: Type for encoding images; clicks are always answered in float32.
    """

    def __init__(self, sam: Sam, version: str, dtype: torch.dtype) -> None:
        self._sam = sam.eval()
        self._version = version
        self._dtype = dtype
        with torch.inference_mode():
            self._positions: Tensor = sam.prompt_encoder.get_dense_pe()

    @classmethod
    def load(
        cls,
        weights: Checkpoint,
        models_dir: Path,
        device: str,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Load published weights after verifying them; runs no code in them.

        Args:
            weights: Checkpoint, whose name is that of the architecture in the package.
            models_dir: Folder of the weights.
            device: Device for the network: ``cpu`` or ``cuda``.
            dtype: Type for encoding images; None: bfloat16 if the device computes in it.

        Raises:
            ModelError: The file is missing or damaged.
        """
        (file,) = weights.files
        weights.check(models_dir)
        path = models_dir / file.path
        # Memory-mapped because the network copies the weights: reading would hold them twice. The
        # format of torch before 1.6, which is not a zip archive, cannot be mapped.
        mapped = zipfile.is_zipfile(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        sam = sam_model_registry[weights.name]()
        sam.load_state_dict(tensors)
        return cls(sam.to(device), f"sam-{weights.version}", dtype or fast_dtype(device))

    @property
    def version(self) -> str:
        """Version with architecture and weights."""
        return self._version

    @property
    def device(self) -> str:
        """Device of the network."""
        return str(self._sam.device)

    @property
    def input_side(self) -> int:
        """Side of the network's square input in pixels."""
        return int(self._sam.image_encoder.img_size)

    @torch.inference_mode()
    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image, (H, W, 3) uint8 RGB; ``features`` is (C, h, w) float32."""
        height, width = image.shape[:2]
        resized = np.asarray(resize(to_pil_image(image), list(self._input_size(height, width))))
        pixels = torch.tensor(resized, device=self._sam.device).permute(2, 0, 1)
        with autocast(self._sam.device, self._dtype):
            features = self._sam.image_encoder(self._sam.preprocess(pixels)[None])
        return Embedding(height, width, {"features": features[0].float()})

    def layout(self, height: int, width: int) -> Layout:  # noqa: ARG002 - padded to one square
        """See ``PromptableModel.layout``."""
        prompt = self._sam.prompt_encoder
        shape = (prompt.embed_dim, *prompt.image_embedding_size)
        return {"features": (shape, torch.float16)}

    @torch.inference_mode()
    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Return the mask of one object; of the three masks for a lone click, the best-rated one.

        The logits of the result are (4h, 4w) float32, in the network's padded square frame.
        """
        lone_click = prompts.box is None and len(prompts.points) == 1 and previous is None
        sparse, dense = self._encode(embedding, prompts, previous)
        logits, ratings = self._sam.mask_decoder(
            image_embeddings=self._tensor(embedding.tensors["features"])[None],
            image_pe=self._positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=lone_click,
        )
        best = int(ratings[0].argmax())
        size = (embedding.height, embedding.width)
        full = self._sam.postprocess_masks(logits[:, best, None], self._input_size(*size), size)
        return Mask(
            pixels=(full[0, 0] > self._sam.mask_threshold).cpu().numpy(),
            score=float(ratings[0, best].clamp(0, 1)),
            logits=logits[0, best].cpu().numpy(),
        )

    def _encode(
        self, embedding: Embedding, prompts: Prompts, previous: Mask | None
    ) -> tuple[Tensor, Tensor]:
        height, width = self._input_size(embedding.height, embedding.width)
        scale = np.array([width / embedding.width, height / embedding.height])
        points = box = mask = None
        if prompts.points:
            places = np.array([(point.x, point.y) for point in prompts.points]) * scale
            signs = np.array([point.positive for point in prompts.points])
            points = self._tensor(places)[None], self._tensor(signs)[None]
        if prompts.box:
            corners = (prompts.box.left, prompts.box.top), (prompts.box.right, prompts.box.bottom)
            box = self._tensor(np.array(corners) * scale).reshape(1, 4)
        if previous:
            mask = self._tensor(previous.logits)[None, None]
        encoded: tuple[Tensor, Tensor] = self._sam.prompt_encoder(points, box, mask)
        return encoded

    def _tensor(self, values: Tensor | npt.NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(values).to(self._sam.device, torch.float32)

    def _input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the image in the network's square; at least one pixel each."""
        longest = self._sam.image_encoder.img_size
        size = ResizeLongestSide.get_preprocess_shape(height, width, longest)
        return max(size[0], 1), max(size[1], 1)
