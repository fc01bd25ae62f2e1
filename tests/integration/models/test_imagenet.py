"""The published ImageNet weights, as our encoder runs them."""

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

from ml_backend.models.blocks import speed_up
from ml_backend.models.efficientnet import EfficientNetLite, Variant, as_input
from ml_backend.models.imagenet import load_imagenet, read_checkpoint


def classify(variant: Variant, features: Tensor) -> list[int]:
    """ImageNet classes, the likeliest first, by the published head."""
    published = read_checkpoint(variant)
    mean, variance, weight, bias = (
        published[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    hidden = functional.batch_norm(
        functional.conv2d(features, published["_conv_head.weight"]),
        mean,
        variance,
        weight,
        bias,
        eps=1e-3,
    )
    pooled = functional.relu6(hidden).mean((2, 3))
    logits = functional.linear(pooled, published["_fc.weight"], published["_fc.bias"])
    return [int(number) for number in logits[0].argsort(descending=True)]


@pytest.fixture(scope="module")
def picture() -> Tensor:
    small = cv2.resize(load_sample_image("china.jpg"), (224, 224), interpolation=cv2.INTER_AREA)
    return as_input(torch.from_numpy(np.asarray(small, np.uint8)[None]), torch.float32)


@torch.inference_mode()
def test_a_palace_is_classified_as_published(picture: Tensor) -> None:
    encoder = EfficientNetLite("lite0").eval()
    load_imagenet(encoder, "lite0")
    assert classify("lite0", encoder(picture)[-1])[:4] == [442, 449, 663, 832]


@torch.inference_mode()
@pytest.mark.parametrize("variant", ["lite0", "lite1", "lite2"])
def test_features_halve_and_stay_the_same_when_sped_up(variant: Variant, picture: Tensor) -> None:
    encoder = EfficientNetLite(variant).eval()
    load_imagenet(encoder, variant)
    plain = encoder(picture)
    assert [f.shape[1] for f in plain] == list(encoder.widths)
    assert [f.shape[2] for f in plain] == [112, 56, 28, 14, 7]
    dtype = speed_up(encoder, "cpu")
    for before, after in zip(plain, encoder(picture.to(dtype)), strict=True):
        similarity = functional.cosine_similarity(before.flatten(), after.float().flatten(), 0)
        assert similarity > 0.98
