"""Which model the settings ask for: chosen, loaded and warmed alike in both backends."""

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
    """What both kinds of model have in common."""

    @property
    def version(self) -> str:
        """Changes when, and only when, the model's answers change."""
        ...


Model = TypeVar("Model", bound=Versioned)


@dataclass(frozen=True)
class Loaders(Generic[Model]):
    """How a backend makes each of its models.

    Attributes:
        embedded: Makes the shipped model on a device.
        published: For each published checkpoint, the best first, what makes a model of it from
            ``MODELS_DIR`` on a device.
        hub: Models of the hub that have a name of their own.
        setting: Name of the variable that asks for a model.
        folder: Makes a model of a folder in transformers' format; gets the folder, the model's
            version and the device.
        warm_up: Makes a model answer once, so that no user waits for what libraries set up then.
    """

    embedded: Callable[[str], Model]
    published: Mapping[Checkpoint, Callable[[Checkpoint, Path, str], Model]]
    hub: tuple[HubModel, ...]
    setting: str
    folder: Callable[[Path, str, str], Model]
    warm_up: Callable[[Model], object]


def load_model(asked: str, loaders: Loaders[Model], settings: BackendSettings) -> Model:
    """Load the model that a setting names, ready to answer.

    ``auto`` is the best one whose files are in ``MODELS_DIR``, else the embedded one; a file that
    is there but damaged is an error, so that nobody works with a lesser model unawares. Missing
    files of a model that is asked for by name are fetched; ``MODEL_FALLBACK`` says what happens
    where they are not available.

    Args:
        asked: Value of ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        loaders: The backend's.
        settings: The backend's.

    Raises:
        ModelError: Weights are not available or not what their name says, or there is no such
            device.
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
    """Return the pinned files of a model of the hub; None for the embedded model instead."""
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
    """Name a folder after what is in its weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.resolve().name}-{digest.hexdigest()[:8]}"


def _choose(
    asked: str, published: Mapping[Checkpoint, object], settings: BackendSettings
) -> Checkpoint | None:
    """The checkpoint to load; None for the embedded model."""
    if asked == "auto":
        present = (each for each in published if not each.missing(settings.models_dir))
        return next(present, None)
    if asked == EMBEDDED:
        return None
    checkpoint = next(each for each in published if each.name == asked)
    if not obtain(checkpoint, settings.models_dir, settings.model_fallback):
        return None
    return checkpoint
