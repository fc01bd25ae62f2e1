"""The embedded promptable network: a crop with a prompt in, the logits of one object out."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.blocks import ConvNorm, Decoder, Encoder

WIDTHS = (24, 40, 80, 160, 288)
DEPTHS = (2, 2, 3, 2)
PROMPT_CHANNELS = 4  # box, positive clicks, negative clicks, previous mask


class PromptNetwork(nn.Module):
    """An encoder-decoder that sees the prompt as extra channels beside the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(WIDTHS, DEPTHS)
        self.prompt = nn.Sequential(
            ConvNorm(PROMPT_CHANNELS, 16, stride=2), nn.Conv2d(16, WIDTHS[0], 1)
        )
        self.decoder = Decoder(WIDTHS, (32, 64, 96, 96, 96))
        self.head = nn.Conv2d(32, 4, 1)
        self.quality = nn.Sequential(nn.Linear(WIDTHS[-1] + 2, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Find the object.

        Args:
            x: (B, 3, S, S) from ``as_batch``.
            prompt: (B, 4, S, S), 0..1: inside the box, positive and negative discs, and the
                probability of the previous mask (0 when there is none).

        Returns:
            (B, 1, S, S) logits, and (B,) the logit of the mask's expected IoU.
        """
        features = self.encoder(x, self.prompt(prompt))
        logits = functional.pixel_shuffle(self.head(self.decoder(features)), 2)
        likely = logits.detach().sigmoid()
        sure = (2 * likely - 1).abs().mean((2, 3))
        summary = torch.cat([features[-1].mean((2, 3)), sure, likely.mean((2, 3))], 1)
        return logits, self.quality(summary).squeeze(1)
