"""Layers and weight files shared by the two embedded networks, in addition to their encoder."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ml_backend.errors import ModelError

Network = TypeVar("Network", bound=nn.Module)

STRIDE = 32  # sides of a network's input are multiples of this


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, unless ``active`` is false, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        x = self.norm(self.conv(x))
        return functional.relu(x, inplace=True) if self.active else x

    def fold(self) -> None:
        """Merge the normalization into the convolution, for inference only."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class Decoder(nn.Module):
    """Feature pyramid from 1/32 up (Lin et al., 2017) with a global context term.

    Args:
        widths: Channels of the input features, finest first.
        channels: Channels of each merged level, finest first; the first is the output's.
    """

    def __init__(self, widths: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.top = ConvNorm(widths[-1], channels[-1], 1)
        self.context = nn.Conv2d(widths[-1], channels[-1], 1)
        finer = list(zip(widths[:-1], channels[:-1], channels[1:], strict=True))[::-1]
        self.lateral = nn.ModuleList(nn.Conv2d(width, out, 1) for width, out, _ in finer)
        self.reduce = nn.ModuleList(
            nn.Identity() if out == below else nn.Conv2d(below, out, 1) for _, out, below in finer
        )
        self.smooth = nn.ModuleList(ConvNorm(out, out) for _, out, _ in finer)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map features, finest first, to (B, channels[0], h, w) at the size of the finest."""
        coarsest = features[-1]
        x: Tensor = self.top(coarsest) + self.context(coarsest.mean((2, 3), keepdim=True))
        for finer, lateral, reduce, smooth in zip(
            features[-2::-1], self.lateral, self.reduce, self.smooth, strict=True
        ):
            above = functional.interpolate(reduce(x), size=finer.shape[-2:], mode="bilinear")
            x = smooth(lateral(finer) + above)
        return x


@dataclass(frozen=True, eq=False)
class Weights:
    """Content of a weights file.

    Attributes:
        tensors: Tensors by parameter name, as stored.
        metadata: Metadata written by the training run.
        digest: First 8 hex digits of the file's SHA-256.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    digest: str


def read_weights(path: Path) -> Weights:
    """Read a safetensors file; never executes anything in it.

    Raises:
        ModelError: The file is missing or damaged.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Weights(tensors, file.metadata() or {}, digest)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The weights {path} cannot be read: {error}",
            "reinstall segstudio, or train them again with the commands in docs/models/",
        ) from error


def load_network(
    make: Callable[[], Network], weights: Weights, device: str
) -> tuple[Network, torch.dtype]:
    """Make a network with ``weights``, for inference.

    Args:
        make: Makes the network. Random initial weights, which would take most of the time of
            loading, are left out.
        weights: Its parameters.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.

    Returns:
        The network, and the floating-point type of its input: bfloat16 where the CPU computes in it
        natively.

    Raises:
        ModelError: The weights are for another network.
    """
    with torch.device("meta"):
        network = make()
    try:
        tensors = {name: tensor.float() for name, tensor in weights.tensors.items()}
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"The weights do not fit {type(network).__name__}: {error}",
            "they come from another version of segstudio; reinstall it",
        ) from error
    return network, speed_up(network, device)


def speed_up(network: nn.Module, device: str) -> torch.dtype:
    """Optimize a trained network for inference only; return the type of its input."""
    network.eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.fold()
    dtype = fast_dtype(device)
    network.to(device, dtype).to(memory_format=torch.channels_last)
    return dtype


def fast_dtype(device: str) -> torch.dtype:
    """Return bfloat16 if ``device`` computes in it natively, else float32."""
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which a float32 network computes in ``dtype`` where that is safe.

    Cast weights are not cached: each is used once, and they would take half the network's memory.
    """
    enabled = dtype != torch.float32
    return torch.autocast(device.type, dtype, enabled=enabled, cache_enabled=False)
