"""The big models that the settings name, brought into ``MODELS_DIR`` as far as they can be had."""

from collections.abc import Callable
from pathlib import Path

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import CHECKPOINTS, CheckpointFile
from ml_backend.models.downloads import pull
from ml_backend.models.hub import HUB_MODELS, HubModel, authorization, pin
from ml_backend.serving.settings import HubSettings

Say = Callable[[str], None]


def link_baked(baked: Path, models_dir: Path, say: Say) -> None:
    """Link the weights that are in the image, as far as ``MODELS_DIR`` lacks them.

    What is there stays, but for links into images that have them no more.

    Args:
        baked: Folder of the image, laid out as ``MODELS_DIR``; may be missing.
        models_dir: A volume.
        say: Is told of each model that was linked.

    Raises:
        ModelError: ``models_dir`` cannot be written.
    """
    for weights in CHECKPOINTS:
        lacking = [
            file.path for file in weights.missing(models_dir) if (baked / file.path).exists()
        ]
        for path in lacking:
            _link(baked / path, models_dir / path)
        if lacking:
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
    """Pull the weights of the models that are named; a failure is told, and is no error.

    Args:
        names: Of models; ``auto`` and ``embedded`` need no weights.
        models_dir: Where they go.
        say: Is told the outcome of each.
        hub: How models of the hub are reached.
    """
    for weights in CHECKPOINTS:
        if weights.name not in names:
            continue
        try:
            pull(weights, models_dir, _Notes(say))
            say(f"{weights.name} is here; licence: {weights.licence}")
        except ModelError as error:
            say(f"{weights.name} cannot be had, the embedded network serves instead: {error}")
    for model in _hub_models(names):
        try:
            weights = pin(model, models_dir, hub)
            pull(weights, models_dir, _Notes(say), headers=authorization(hub))
            say(f"{model.name} is here; licence: {weights.licence}")
        except ModelError as error:
            say(f"{model.name} cannot be had, the embedded network serves instead: {error}")


def _hub_models(names: set[str]) -> list[HubModel]:
    own = [model for model in HUB_MODELS if model.name in names]
    return own + [HubModel.parse(n, "SEGMENTATION_MODEL") for n in names if n.startswith("hf:")]


class _Notes:
    def __init__(self, say: Say) -> None:
        self._say = say

    def progress(self, file: CheckpointFile, done: int) -> None:
        """Not told: this is a log."""

    def note(self, text: str) -> None:
        self._say(text)
