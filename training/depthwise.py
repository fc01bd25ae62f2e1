"""Depthwise convolutions with fast gradients on a CPU.

oneDNN has no fast kernel for the gradient of a strided depthwise convolution, nor for the weight
gradient of a 5x5 one: they took four fifths of a training step. Both are composed here of
fast kernels: a strided convolution is a plain one with every second pixel kept, and the
nine weights of each corner of a 5x5 kernel are those of a 3x3 convolution of a shifted picture.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.efficientnet import LiteConv


def quicken(network: nn.Module) -> None:
    """Make the depthwise convolutions of ``network`` compute their gradients this way."""
    for module in network.modules():
        if isinstance(module, LiteConv) and module.conv.groups > 1:
            module.conv.__class__ = QuickDepthwise


class QuickDepthwise(nn.Conv2d):
    """A depthwise ``Conv2d`` of 3x3 or 5x5, with the same parameters and answers."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if bias is not None or not torch.is_grad_enabled():
            return functional.conv2d(
                input, weight, bias, self.stride, self.padding, self.dilation, self.groups
            )
        if torch.is_autocast_enabled(input.device.type):
            dtype = torch.get_autocast_dtype(input.device.type)
            input, weight = input.to(dtype), weight.to(dtype)
        padding = (self.kernel_size[0] // 2) if self.stride[0] == 1 else 0
        output: Tensor = _Depthwise.apply(input, weight, self.stride[0], padding)
        return output


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        with torch.autocast(x.device.type, enabled=False):
            return functional.conv2d(x, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        padding = ctx.padding
        slope = slope.contiguous(memory_format=torch.channels_last)
        if ctx.stride > 1:
            slope = _spread(slope, x, weight.shape[-1])
        back = _gradients(slope, x, weight, padding, (True, weight.shape[-1] == 3))
        if weight.shape[-1] == 3:
            return back[0], back[1], None, None
        return back[0], _weight_gradient(slope, x, weight, padding), None, None


def _spread(slope: Tensor, x: Tensor, kernel: int) -> Tensor:
    """Return the gradient of the convolution without stride: zero at skipped pixels."""
    batch, channels, height, width = x.shape
    full = torch.zeros(
        (batch, channels, height - kernel + 1, width - kernel + 1),
        dtype=slope.dtype,
        device=slope.device,
    ).contiguous(memory_format=torch.channels_last)
    full[:, :, ::2, ::2] = slope
    return full


def _weight_gradient(slope: Tensor, x: Tensor, weight: Tensor, padding: int) -> Tensor:
    padded = functional.pad(x, (padding,) * 4)
    rows, columns = slope.shape[-2] + 2, slope.shape[-1] + 2
    gradient = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            part = padded[:, :, top : top + rows, left : left + columns]
            part = part.contiguous(memory_format=torch.channels_last)
            corner = (..., slice(top, top + 3), slice(left, left + 3))
            small = weight[corner].contiguous(memory_format=torch.channels_last)
            gradient[corner] = _gradients(slope, part, small, 0, (False, True))[1]
    return gradient


def _gradients(
    slope: Tensor, x: Tensor, weight: Tensor, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x`` and ``weight`` from the library's kernels, if needed."""
    sizes = [1, 1], [padding, padding], [1, 1]
    first, second, _ = torch.ops.aten.convolution_backward(
        slope, x, weight, None, *sizes, False, [0, 0], len(weight), [*wanted, False]
    )
    return first, second
