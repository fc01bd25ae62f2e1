"""The big models that the settings name, brought into ``MODELS_DIR`` as far as they can be had."""

from collections.abc import Callable
from pathlib import Path

from ml_backend.downloads import pull
from ml_backend.errors import ModelError
from ml_backend.weights import KNOWN_WEIGHTS, WeightsFile

Say = Callable[[str], None]


def pull_named(names: set[str], models_dir: Path, say: Say) -> None:
    """Pull the weights of the models that are named; a failure is told, and is no error.

    Args:
        names: Of models; ``auto`` and ``embedded`` need no weights.
        models_dir: Where they go.
        say: Is told the outcome of each.
    """
    for weights in KNOWN_WEIGHTS:
        if weights.name not in names:
            continue
        try:
            pull(weights, models_dir, _Notes(say))
            say(f"{weights.name} is here; licence: {weights.licence}")
        except ModelError as error:
            say(f"{weights.name} cannot be had, the embedded network serves instead: {error}")


class _Notes:
    def __init__(self, say: Say) -> None:
        self._say = say

    def progress(self, file: WeightsFile, done: int) -> None:
        """Not told: this is a log."""

    def note(self, text: str) -> None:
        self._say(text)
