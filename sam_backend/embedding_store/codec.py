"""Encode embeddings as safetensors, which can be read without running code from others."""

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sam_backend.models.base import Embedder, Embedding

_SIZE = "image_size"
_UNREADABLE = (SafetensorError, ValueError, LookupError, RuntimeError, TypeError)
"""Exceptions of safetensors on foreign bytes, or on types that PyTorch does not have."""


class DamagedError(Exception):
    """The bytes are not an embedding of this model."""


class Codec:
    """Encodes embeddings, and validates them on decoding.

    Args:
        model: Model of the embeddings.
        max_pixels: Maximum pixels of an image: a larger mask would not fit in memory.
    """

    def __init__(self, model: Embedder, max_pixels: int) -> None:
        self._model = model
        self._max_pixels = max_pixels

    def of(self, model: Embedder) -> "Codec":
        """Return a codec for another model's embeddings."""
        return Codec(model, self._max_pixels)

    def pack(self, embedding: Embedding) -> bytes:
        """Encode the tensors by name, plus the image's height and width as (2,) int64."""
        size = torch.tensor([embedding.height, embedding.width])
        tensors = {name: each.cpu().contiguous() for name, each in embedding.tensors.items()}
        return save({**tensors, _SIZE: size})

    def unpack(self, data: bytes) -> Embedding:
        """Decode an embedding onto the model's device.

        Raises:
            DamagedError: Names, shapes or types are not the model's, or a number is not finite.
        """
        try:
            tensors = load(data)
        except _UNREADABLE as error:
            raise DamagedError(f"not safetensors: {error}") from error
        height, width = self._size(tensors.pop(_SIZE, None))
        found = {name: (tuple(each.shape), each.dtype) for name, each in tensors.items()}
        if found != self._model.layout(height, width):
            raise DamagedError("another model's shapes")
        if not all(bool(each.isfinite().all()) for each in tensors.values()):
            raise DamagedError("not finite")
        on_device = {name: each.to(self._model.device) for name, each in tensors.items()}
        return Embedding(height, width, on_device)

    def _size(self, size: Tensor | None) -> tuple[int, int]:
        if size is None or size.shape != (2,) or size.dtype != torch.int64:
            raise DamagedError("no image size")
        height, width = (int(side) for side in size)
        if min(height, width) < 1 or height * width > self._max_pixels:
            raise DamagedError(f"an image of {width} x {height}")
        return height, width
