"""EfficientNet-Lite as a feature extractor (Tan and Le, 2019; the Lite variants, 2020).

Inverted residuals without squeeze-and-excitation, with ReLU6. Strided convolutions are padded as
TensorFlow pads them, so that published ImageNet weights fit. What a served network needs comes from
its own safetensors file; ``ml_backend.models.imagenet`` reads the published weights.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.blocks import ConvNorm

Variant = Literal["lite0", "lite1", "lite2"]

# Width and depth multipliers of each variant.
SCALING: dict[str, tuple[float, float]] = {
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
}
STEM = 32
# Blocks, kernel, stride, expansion, outputs of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class LiteConv(ConvNorm):
    """Convolution padded as TensorFlow does, batch normalization and, if ``active``, ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        active: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, active)
        padding = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        # With an even side, a strided kernel reaches one pixel further to the right and bottom.
        self.before, self.after = (kernel - 2) // 2, (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride); H, W even if strided."""
        if self.conv.stride[0] > 1:
            x = functional.pad(x, (self.before, self.after, self.before, self.after))
        x = self.norm(self.conv(x))
        return functional.relu6(x, inplace=True) if self.active else x


class InvertedResidual(nn.Module):
    """Expand, filter each channel separately, project (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = LiteConv(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = LiteConv(inner, inner, kernel, stride, groups=inner)
        self.project = LiteConv(inner, outputs, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture.

    Args:
        variant: Network size: ``"lite0"``, ``"lite1"`` or ``"lite2"``.

    Attributes:
        widths: Channels of the five features, finest first.
    """

    def __init__(self, variant: Variant = "lite0") -> None:
        super().__init__()
        width, depth = SCALING[variant]
        self.stem = LiteConv(3, STEM, 3, 2)
        inputs, stages, outputs = STEM, [], []
        for number, (blocks, kernel, stride, expansion, channels) in enumerate(STAGES):
            ends = number in (0, len(STAGES) - 1)
            repeats = blocks if ends else math.ceil(blocks * depth)
            outputs.append(_round_width(channels * width))
            layers = []
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                layers.append(InvertedResidual(inputs, outputs[-1], kernel, step, expansion))
                inputs = outputs[-1]
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.widths = tuple(outputs[number] for number in (0, 1, 2, 4, 6))

    def forward(self, x: Tensor, extra: Tensor | None = None) -> list[Tensor]:
        """Encode a batch.

        Args:
            x: Float tensor (B, 3, H, W) from ``as_input``; H and W are multiples of 32.
            extra: Float tensor (B, 32, H/2, W/2), added to the stem's output.

        Returns:
            Tensors (B, widths[i], H / 2**(i + 1), W / 2**(i + 1)) for i from 0 to 4.
        """
        x = self.stem(x)
        if extra is not None:
            x = x + extra
        features: list[Tensor] = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in (0, 1, 2, 4, 6):
                features.append(x)
        return features


def _round_width(width: float) -> int:
    """Return the multiple of 8 nearest to ``width`` that is at least 90 % of it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8


def as_input(pictures: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert (B, H, W, 3) uint8 RGB to (B, 3, H, W) in -1..1, as ImageNet weights expect."""
    scaled = pictures.permute(0, 3, 1, 2).to(torch.float32).sub(127.0).div(128.0)
    return scaled.to(dtype, memory_format=torch.channels_last)
