"""Choose, load and warm the model that the settings name; shared by both backends."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog
import torch

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import Checkpoint
from ml_backend.models.device import prepare_torch
from ml_backend.models.downloads import obtain
from ml_backend.models.hub import HubModel, authorization, forbids_commercial_use, pin
from ml_backend.serving.settings import BackendSettings

log = structlog.get_logger(__name__)

EMBEDDED = "embedded"
"""The model that ships with the project."""


class Versioned(Protocol):
    """A model with a version."""

    @property
    def version(self) -> str:
        """Version that changes when, and only when, the model's predictions change."""
        ...


Model = TypeVar("Model", bound=Versioned)


@dataclass(frozen=True)
class Loaders(Generic[Model]):
    """Loaders of a backend's models.

    Attributes:
        embedded: Loads the shipped model on a device.
        published: Loader of each published checkpoint, best first, which gets ``MODELS_DIR`` and a
            device.
        hub: Models of the hub that have a short name.
        setting: Name of the environment variable that chooses the model.
        folder: Loads a folder in transformers' format; gets the folder, the model's version and the
            device.
        warm_up: Runs a model once, so that no user waits for the lazy initialization of libraries.
    """

    embedded: Callable[[str], Model]
    published: Mapping[Checkpoint, Callable[[Checkpoint, Path, str], Model]]
    hub: tuple[HubModel, ...]
    setting: str
    folder: Callable[[Path, str, str], Model]
    warm_up: Callable[[Model], object]


def load_model(asked: str, loaders: Loaders[Model], settings: BackendSettings) -> Model:
    """Load the model that a setting names, warmed up.

    ``auto`` is the best one whose files are in ``MODELS_DIR``, else the embedded one. A damaged
    file is an error, so that a lesser model never replaces it silently. Missing files of a model
    requested by name are downloaded; ``MODEL_FALLBACK`` decides what happens if they are not
    available.

    Args:
        asked: Value of ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        loaders: Loaders of the backend's models.
        settings: Settings of the backend.

    Raises:
        ModelError: The weights are missing or damaged, or the device does not exist.
    """
    started = time.perf_counter()
    device = prepare_torch(settings)
    model = _load(asked, loaders, settings, device)
    loaders.warm_up(model)
    log.info(
        "model_loaded",
        asked=asked,
        model_version=model.version,
        device=device,
        threads=torch.get_num_threads(),
        seconds=round(time.perf_counter() - started, 1),
    )
    return model


def _load(asked: str, loaders: Loaders[Model], settings: BackendSettings, device: str) -> Model:
    names = {EMBEDDED, "auto", *(each.name for each in loaders.published)}
    if asked in names:
        checkpoint = _choose(asked, loaders.published, settings)
    elif Path(asked).is_dir():
        return loaders.folder(Path(asked), _folder_version(Path(asked)), device)
    else:
        checkpoint = _pull_from_hub(asked, loaders, settings)
    if checkpoint is None:
        return loaders.embedded(device)
    if forbids_commercial_use(checkpoint.licence):
        log.warning("licence_forbids_commercial_use", model=asked, licence=checkpoint.licence)
    if checkpoint in loaders.published:
        return loaders.published[checkpoint](checkpoint, settings.models_dir, device)
    return loaders.folder(checkpoint.check(settings.models_dir), checkpoint.version, device)


def _pull_from_hub(
    asked: str, loaders: Loaders[Model], settings: BackendSettings
) -> Checkpoint | None:
    """Return the pinned files of a hub model; None to use the embedded model instead."""
    named = {model.name: model for model in loaders.hub}
    model = named.get(asked) or HubModel.parse(asked, loaders.setting)
    try:
        checkpoint = pin(model, settings.models_dir, settings)
    except ModelError as error:
        if not settings.model_fallback:
            raise
        log.warning("model_fallback", asked=asked, reason=str(error))
        return None
    headers = authorization(settings)
    there = obtain(checkpoint, settings.models_dir, settings.model_fallback, headers)
    return checkpoint if there else None


def _folder_version(folder: Path) -> str:
    """Return a version for a folder, derived from its weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.resolve().name}-{digest.hexdigest()[:8]}"


def _choose(
    asked: str, published: Mapping[Checkpoint, object], settings: BackendSettings
) -> Checkpoint | None:
    """Return the checkpoint to load; None for the embedded model."""
    if asked == "auto":
        present = (each for each in published if not each.missing(settings.models_dir))
        return next(present, None)
    if asked == EMBEDDED:
        return None
    checkpoint = next(each for each in published if each.name == asked)
    if not obtain(checkpoint, settings.models_dir, settings.model_fallback):
        return None
    return checkpoint
