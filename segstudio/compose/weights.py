"""Bring the big models that the settings name into ``MODELS_DIR``, if they are available."""

from collections.abc import Callable
from pathlib import Path

from ml_backend.errors import ModelError
from ml_backend.models.catalog import Model, find_model, known_models
from ml_backend.models.checkpoints import CHECKPOINTS, CheckpointFile
from ml_backend.models.downloads import pull
from ml_backend.models.hub import HubModel, authorization, pin
from ml_backend.serving.settings import HubSettings

Say = Callable[[str], None]


def link_baked(baked: Path, models_dir: Path, say: Say) -> None:
    """Link the weights in the image that are missing from ``MODELS_DIR``.

    Existing files stay, except links to files that the image no longer has.

    Args:
        baked: Folder of the image with the layout of ``MODELS_DIR``; may not exist.
        models_dir: Volume for the weights.
        say: Called with a line for each linked model.

    Raises:
        ModelError: ``models_dir`` cannot be written.
    """
    for weights in CHECKPOINTS:
        missing = [
            file.path for file in weights.missing(models_dir) if (baked / file.path).exists()
        ]
        for path in missing:
            _link(baked / path, models_dir / path)
        if missing:
            say(f"{weights.name} is in the image; licence: {weights.licence}")


def _link(source: Path, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(source)
    except OSError as error:
        raise ModelError(
            f"cannot write {place}: {error.strerror}", "user 10001 must be able to write there"
        ) from error


def pull_named(names: set[str], models_dir: Path, say: Say, hub: HubSettings) -> None:
    """Download the weights of models; failures are reported, and not raised.

    Args:
        names: Names of models; ``auto`` and ``embedded`` need no weights.
        models_dir: Target folder.
        say: Called with the outcome of each model.
        hub: Access to the Hugging Face hub.
    """
    for model in _named(names):
        try:
            weights = pin(model, models_dir, hub) if isinstance(model, HubModel) else model
            headers = authorization(hub) if isinstance(model, HubModel) else None
            pull(weights, models_dir, _Notes(say), headers=headers)
            say(f"{model.name} is here; licence: {weights.licence}")
        except ModelError as error:
            say(f"{model.name} is not available, the embedded network serves instead: {error}")


def _named(names: set[str]) -> list[Model]:
    own = [model for model in known_models() if model.name in names]
    return own + [find_model(name) for name in names if name.startswith("hf:")]


class _Notes:
    def __init__(self, say: Say) -> None:
        self._say = say

    def progress(self, file: CheckpointFile, done: int) -> None:
        """Ignore progress: the output is a log."""

    def note(self, text: str) -> None:
        self._say(text)
