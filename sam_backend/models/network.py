"""The embedded promptable network: a crop with a prompt in, the logits of one object out."""

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
    """An encoder-decoder whose encoder sees the prompt from a quarter of the resolution on."""

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
        """Return the picture's own features at 1/2 and 1/4 of (B, 3, S, S) from ``as_input``."""
        x = self.encoder.stem(x)
        features = []
        for stage in self.encoder.stages[:LOOKED]:
            x = stage(x)
            features.append(x)
        return features

    def find(self, seen: list[Tensor], prompt: Tensor) -> "Answer":
        """Find the object.

        Args:
            seen: From ``look``.
            prompt: (B, 5, S, S): inside the box, positive and negative discs, and the probability
                of the last mask (0 when there is none), each 0..1; evidence of the colors, -1..1.
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
        """Find the object and judge what was found; arguments as of ``find``.

        Returns:
            (B, 4, S, S) logits of the hypotheses, and (B, 4) logits of their expected IoUs.
        """
        answer = self.find(seen, prompt)
        chances = answer.logits.detach().sigmoid()
        return answer.logits, self.judge(answer.coarse, answer.fine, chances)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of a prompt.

    Attributes:
        logits: (B, 4, S, S), of the hypotheses.
        coarse: (B, C, S/32, S/32), the encoder's last features.
        fine: (B, c, S/2, S/2), the decoder's features.
    """

    logits: Tensor
    coarse: Tensor
    fine: Tensor


class Judge(nn.Module):
    """Foretells the IoU of a mask from the features inside it, around it and along its edge."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(coarse + 3 * fine + 2, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, coarse: Tensor, fine: Tensor, masks: Tensor) -> Tensor:
        """Judge any masks of a picture.

        Args:
            coarse: (B, coarse, h, w), the encoder's last features.
            fine: (B, fine, S/2, S/2), the decoder's.
            masks: (B, K, S, S) probabilities.

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
    """Return (B,) bool: whether a (B, 5, S, S) prompt comes without a last mask."""
    return prompt[:, 3].amax((1, 2)) == 0


def likeliest(logits: Tensor, quality: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one hypothesis each: the best by its own judge where the prompt is vague.

    Args:
        logits: (B, K, S, S).
        quality: (B, K).
        prompt: (B, 5, S, S).

    Returns:
        (B, S, S) logits, and (B,) the logit of their expected IoU.
    """
    best = torch.where(is_vague(prompt), quality.argmax(1), 0)
    rows = torch.arange(len(best), device=best.device)
    return logits[rows, best], quality[rows, best]
