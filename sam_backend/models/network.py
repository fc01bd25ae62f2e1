"""Embedded promptable network: crop and prompt in, logits of one object out."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.blocks import ConvNorm, Decoder
from ml_backend.models.efficientnet import EfficientNetLite

PROMPT_CHANNELS = 5  # box, positive clicks, negative clicks, last mask, evidence of the colors
HYPOTHESES = 4  # the first answers every prompt, the others what a single click may mean
LOOKED = 2  # stages of the encoder that see the picture alone
CHANNELS = (24, 48, 96, 96, 96)  # of the decoder, finest first
SKETCH = 16  # features of the prompt at half the resolution


class PromptNetwork(nn.Module):
    """Encoder-decoder whose encoder sees the prompt from a quarter of the resolution on."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite("lite0")
        fine, coarse, *deeper = self.encoder.widths
        self.sketch = ConvNorm(PROMPT_CHANNELS, SKETCH, stride=2)
        self.inject = nn.Sequential(ConvNorm(SKETCH, 32, stride=2), nn.Conv2d(32, coarse, 1))
        self.decoder = Decoder((fine + SKETCH, coarse, *deeper), CHANNELS)
        self.head = nn.Conv2d(CHANNELS[0], 4 * HYPOTHESES, 1)
        self.judge = Judge(self.encoder.widths[-1], CHANNELS[0])

    def look(self, x: Tensor) -> list[Tensor]:
        """Return the picture's features at 1/2 and 1/4 of (B, 3, S, S) from ``as_input``."""
        x = self.encoder.stem(x)
        features = []
        for stage in self.encoder.stages[:LOOKED]:
            x = stage(x)
            features.append(x)
        return features

    def find(self, seen: list[Tensor], prompt: Tensor) -> "Answer":
        """Return the hypotheses of the object.

        Args:
            seen: Features from ``look``.
            prompt: Prompt (B, 5, S, S): inside the box, positive and negative discs, and the
                probability of the last mask (0 without one), each 0..1; color evidence, -1..1.
        """
        fine, x = seen
        sketch = self.sketch(prompt)
        x = x + self.inject(sketch)
        features = [torch.cat([fine, sketch], 1), x]
        for number, stage in enumerate(self.encoder.stages[LOOKED:], LOOKED):
            x = stage(x)
            if number in (2, 4, 6):
                features.append(x)
        decoded = self.decoder(features)
        logits = functional.pixel_shuffle(self.head(decoded), 2)
        return Answer(logits, features[-1], decoded)

    def forward(self, seen: list[Tensor], prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Find the object and rate the hypotheses; arguments as ``find``.

        Returns:
            (B, 4, S, S) logits of the hypotheses, and (B, 4) logits of their expected IoUs.
        """
        answer = self.find(seen, prompt)
        chances = answer.logits.detach().sigmoid()
        return answer.logits, self.judge(answer.coarse, answer.fine, chances)


@dataclass(frozen=True, eq=False)
class Answer:
    """Output of the network for a prompt.

    Attributes:
        logits: Logits (B, 4, S, S) of the hypotheses.
        coarse: Last features (B, C, S/32, S/32) of the encoder.
        fine: Features (B, c, S/2, S/2) of the decoder.
    """

    logits: Tensor
    coarse: Tensor
    fine: Tensor


class Judge(nn.Module):
    """Predicts the IoU of a mask from the features inside it, around it and along its edge."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(coarse + 3 * fine + 2, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, coarse: Tensor, fine: Tensor, masks: Tensor) -> Tensor:
        """Rate masks of a picture.

        Args:
            coarse: Last features (B, coarse, h, w) of the encoder.
            fine: Features (B, fine, S/2, S/2) of the decoder.
            masks: Probabilities (B, K, S, S).

        Returns:
            (B, K) logits of the expected IoUs.
        """
        halves = functional.avg_pool2d(masks, 2)
        count = masks.shape[1]
        edge = _largest_near(halves) + _largest_near(-halves)
        places = torch.cat([halves, 1 - halves, edge], 1).flatten(2)  # (B, 3K, N)
        places = places / (places.sum(2, keepdim=True) + 1)
        pooled = places @ fine.flatten(2).transpose(1, 2)  # (B, 3K, fine)
        inside, outside, along = (pooled[:, n * count : (n + 1) * count] for n in range(3))
        whole = coarse.mean((2, 3))[:, None].expand(-1, count, -1)
        sure = (2 * masks - 1).abs().mean((2, 3))[..., None]
        size = masks.mean((2, 3))[..., None]
        summary = torch.cat([whole, inside, outside, along, sure, size], 2)
        judged: Tensor = self.layers(summary).squeeze(2)
        return judged


def _largest_near(x: Tensor) -> Tensor:
    """Return the maximum of each 3 x 3 neighborhood; faster than ``max_pool2d`` on a CPU."""
    x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
    x = torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
    return torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])


def is_vague(prompt: Tensor) -> Tensor:
    """Return (B,) bool: whether a (B, 5, S, S) prompt has no last mask."""
    return prompt[:, 3].amax((1, 2)) == 0


def likeliest(logits: Tensor, quality: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one hypothesis each: the best-rated one if the prompt is vague.

    Args:
        logits: Logits (B, K, S, S).
        quality: Logits of the expected IoUs, (B, K).
        prompt: Prompts (B, 5, S, S).

    Returns:
        (B, S, S) logits, and (B,) logits of their expected IoUs.
    """
    best = torch.where(is_vague(prompt), quality.argmax(1), 0)
    rows = torch.arange(len(best), device=best.device)
    return logits[rows, best], quality[rows, best]
