"""Encode embeddings of images of any size."""

import torch
from torch import Tensor

from ml_backend.embedding_store.base import DamagedError
from ml_backend.embedding_store.codec import checked, pack_tensors, unpack_tensors
from sam_backend.models.base import Embedder, Embedding

_SIZE = "image_size"


class EmbeddingCodec:
    """``Codec`` of a model's embeddings.

    Args:
        model: Model of the embeddings.
        max_pixels: Maximum pixels of an image: a larger mask would not fit in memory.
    """

    def __init__(self, model: Embedder, max_pixels: int) -> None:
        self._model = model
        self._max_pixels = max_pixels

    def pack(self, embedding: Embedding) -> bytes:
        """Encode the tensors by name, plus the image's height and width as (2,) int64."""
        size = torch.tensor([embedding.height, embedding.width])
        return pack_tensors({**embedding.tensors, _SIZE: size})

    def unpack(self, data: bytes) -> Embedding:
        """Decode an embedding onto the model's device.

        Raises:
            DamagedError: Names, shapes or types are not the model's, or a number is not finite.
        """
        tensors = unpack_tensors(data)
        height, width = self._size(tensors.pop(_SIZE, None))
        layout = self._model.layout(height, width)
        return Embedding(height, width, checked(tensors, layout, self._model.device))

    def _size(self, size: Tensor | None) -> tuple[int, int]:
        if size is None or size.shape != (2,) or size.dtype != torch.int64:
            raise DamagedError("no image size")
        height, width = (int(side) for side in size)
        if min(height, width) < 1 or height * width > self._max_pixels:
            raise DamagedError(f"an image of {width} x {height}")
        return height, width
