"""Embedded garment network: photograph in, class logits out."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.blocks import Decoder
from ml_backend.models.efficientnet import EfficientNetLite

ENCODER: Final = "lite0"


class GarmentNetwork(nn.Module):
    """Encoder-decoder with a second, image-wide head that predicts which classes appear.

    Args:
        classes: Number of classes, including the background.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(ENCODER)
        self.decoder = Decoder(self.encoder.widths[1:], (64, 96, 96, 96))
        self.head = nn.Conv2d(64, classes * 4, 1)
        self.presence = nn.Linear(self.encoder.widths[-1], classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Classify every pixel.

        Args:
            x: Float tensor (B, 3, H, W) from ``as_input``; H and W are multiples of 32.

        Returns:
            (B, C, H/2, W/2) logits, and (B, C) logits of each class appearing in the picture.
        """
        features = self.encoder(x)
        logits = self.classify(self.decoder(features[1:]))
        return logits, self.presence(features[-1].mean((2, 3)))

    def classify(self, decoded: Tensor) -> Tensor:
        """Return the (B, C, 2h, 2w) logits of the decoder's (B, D, h, w) output."""
        return functional.pixel_shuffle(self.head(decoded), 2)
