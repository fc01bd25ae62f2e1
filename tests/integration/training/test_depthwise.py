"""Quick gradients of depthwise convolutions are those of the library."""

import copy

import torch

from ml_backend.models.efficientnet import EfficientNetLite
from training.depthwise import quicken


def test_quick_gradients_are_the_right_ones() -> None:
    torch.manual_seed(0)
    plain = EfficientNetLite("lite0").to(memory_format=torch.channels_last)
    quick = copy.deepcopy(plain)
    quicken(quick)
    assert quick.state_dict().keys() == plain.state_dict().keys()
    pictures = torch.randn(2, 3, 64, 96).to(memory_format=torch.channels_last)
    for encoder in (plain, quick):
        loss = torch.stack([feature.square().mean() for feature in encoder(pictures)]).sum()
        torch.autograd.backward(loss)
    for ours, theirs in zip(quick.parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert (ours.grad - theirs.grad).norm() <= 1e-4 * theirs.grad.norm() + 1e-9
