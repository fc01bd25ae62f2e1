"""Models whose weights can be downloaded, and what is there of them."""

from pathlib import Path
from typing import Literal

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import CHECKPOINTS, Checkpoint
from ml_backend.models.hub import HUB_MODELS, HubModel, pinned

Model = Checkpoint | HubModel
"""A model whose files are known, or one that is pinned at the first pull."""


def known_models() -> list[Model]:
    """Return the models that can be named without their owner."""
    return [*CHECKPOINTS, *HUB_MODELS]


def find_model(name: str) -> Model:
    """Return a known model, or one of the hub by ``hf:OWNER/NAME``.

    Raises:
        ModelError: There is no such model.
    """
    if name.startswith("hf:"):
        return HubModel.parse(name, "SEGMENTATION_MODEL")
    known = {model.name: model for model in known_models()}
    if name not in known:
        raise ModelError(f"{name!r} is none of {', '.join(known)}, and no hf:OWNER/NAME")
    return known[name]


def checkpoint_of(model: Model, models_dir: Path) -> Checkpoint | None:
    """Return the files of a model; None for one of the hub that was never pulled."""
    return pinned(model, models_dir) if isinstance(model, HubModel) else model


def presence(model: Model, models_dir: Path) -> Literal["yes", "in part", "no"]:
    """Return whether the files of a model exist, without checking their content."""
    checkpoint = checkpoint_of(model, models_dir)
    missing = checkpoint.missing(models_dir) if checkpoint else ()
    if checkpoint is None or len(missing) == len(checkpoint.files):
        return "no"
    return "in part" if missing else "yes"


def verify(model: Model, models_dir: Path) -> None:
    """Check the files of a model by their SHA-256.

    Raises:
        ModelError: A file is missing or damaged, or the model was never pulled.
    """
    checkpoint = checkpoint_of(model, models_dir)
    if checkpoint is None:
        raise ModelError(f"{model.name} was never pulled", f"segstudio models pull {model.name}")
    checkpoint.check(models_dir)
