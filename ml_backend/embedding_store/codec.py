"""Encode tensors as safetensors, which can be read without running code from others."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ml_backend.embedding_store.base import DamagedError

_UNREADABLE = (SafetensorError, ValueError, LookupError, RuntimeError, TypeError)
"""Exceptions of safetensors on foreign bytes, or on types that PyTorch does not have."""

Layout = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and type of tensors, by name."""


@dataclass(frozen=True, eq=False)
class Tensors:
    """Encoded image or text: a value that is safe to cache, to share and to send.

    Attributes:
        by_name: Tensors of a model on its device. Never written to.
    """

    by_name: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.by_name.values())


@dataclass(frozen=True)
class TensorCodec:
    """``Codec`` of tensors whose shapes are always the same.

    Attributes:
        layout: Layout of the tensors.
        device: Device that they are decoded onto.
    """

    layout: Layout
    device: str

    def pack(self, value: Tensors) -> bytes:
        """See ``Codec``."""
        return pack_tensors(value.by_name)

    def unpack(self, data: bytes) -> Tensors:
        """See ``Codec``."""
        return Tensors(checked(unpack_tensors(data), self.layout, self.device))


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Encode tensors by name."""
    return save({name: each.cpu().contiguous() for name, each in tensors.items()})


def unpack_tensors(data: bytes) -> dict[str, Tensor]:
    """Decode tensors of any layout.

    Raises:
        DamagedError: The bytes are not safetensors.
    """
    try:
        return load(data)
    except _UNREADABLE as error:
        raise DamagedError(f"not safetensors: {error}") from error


def checked(tensors: Mapping[str, Tensor], layout: Layout, device: str) -> dict[str, Tensor]:
    """Return decoded tensors on a device.

    Raises:
        DamagedError: Names, shapes or types are not those of the layout, or a number is not finite.
    """
    if {name: (tuple(each.shape), each.dtype) for name, each in tensors.items()} != layout:
        raise DamagedError("another model's shapes")
    if not all(bool(each.isfinite().all()) for each in tensors.values()):
        raise DamagedError("not finite")
    return {name: each.to(device) for name, each in tensors.items()}
