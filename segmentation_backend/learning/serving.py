"""Learned models of a worker by project, loaded from disk on demand."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from ml_backend.errors import ModelError, TaskError
from segmentation_backend.learning.store import LearnedVersion, ProjectKey, ProjectStore
from segmentation_backend.models.base import Instance, SegmentationModel

log = structlog.get_logger(__name__)

POLL_SECONDS = 2.0
"""Seconds between two checks of a project's pointer."""

_MOST_PROJECTS = 10_000
"""Maximum number of projects whose state is cached."""

Load = Callable[[LearnedVersion], SegmentationModel]


@dataclass(frozen=True)
class _Seen:
    """Result of the last check of a project's pointer."""

    at: float
    state: tuple[int, int] | None
    version: LearnedVersion | None
    classes: tuple[str, ...] = ()


class LearnedModels:
    """Learned models by project; the least recently used are dropped from memory. Thread-safe.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        load: Loads a version's model; raises ModelError if it is unusable.
        capacity: Maximum number of models in memory.
        broken: Called once for each version that cannot be loaded, and is replaced by the shipped
            model.
    """

    def __init__(
        self, root: Path, load: Load, capacity: int, broken: Callable[[ProjectKey], None]
    ) -> None:
        self._root = root
        self._load = load
        self._capacity = capacity
        self._report_broken = broken
        self._seen: dict[ProjectKey, _Seen] = {}
        self._broken: set[str] = set()
        self._models: OrderedDict[str, SegmentationModel] = OrderedDict()
        self._loading = threading.Lock()

    def find(self, project: object) -> "LearnedProjectModel | None":
        """Return the project's model, not loaded yet; None: the shipped model.

        A promotion is noticed within ``POLL_SECONDS``.

        Args:
            project: ``"<id>.<created unix time>"``; any other value has no model.
        """
        key = ProjectKey.parse(project)
        if key is None:
            return None
        seen = self._seen.get(key)
        if seen is None or time.monotonic() - seen.at >= POLL_SECONDS:
            seen = self._look(key, seen)
        if seen.version is None or not seen.classes or seen.version.name in self._broken:
            return None
        return LearnedProjectModel(self, seen.version, seen.classes)

    def load(self, version: LearnedVersion) -> SegmentationModel:
        """Return the model of a version, from memory or disk.

        Raises:
            TaskError: The model cannot be loaded; the shipped model serves from now on.
        """
        with self._loading:
            if (model := self._models.get(version.name)) is not None:
                self._models.move_to_end(version.name)
                return model
            model = self._models[version.name] = self._load_from_disk(version)
            while len(self._models) > self._capacity:
                self._models.popitem(last=False)
            return model

    def _load_from_disk(self, version: LearnedVersion) -> SegmentationModel:
        try:
            model = self._load(version)
        except ModelError as error:
            log.warning("learned_model_failed", version=version.name, reason=str(error))
            self._broken.add(version.name)
            self._report_broken(version.project)
            raise TaskError(
                f"{version.name} cannot be loaded: {error.message}",
                "try again: the shipped model serves until the project is learned again",
            ) from error
        log.info("learned_model_loaded", version=version.name)
        return model

    def _look(self, project: ProjectKey, seen: _Seen | None) -> _Seen:
        store = ProjectStore(self._root, project)
        state, now = store.pointer_state(), time.monotonic()
        if seen is not None and seen.state == state:
            found = _Seen(now, state, seen.version, seen.classes)
        else:
            version = store.current()
            found = _Seen(now, state, version, _classes(version))
        if len(self._seen) >= _MOST_PROJECTS:
            self._seen.clear()
        self._seen[project] = found
        return found


class LearnedProjectModel:
    """Version of a project as a model, loaded on first use.

    Args:
        models: Cache that loads it.
        version: Version on disk.
        classes: Class names, the background first.
    """

    def __init__(
        self, models: LearnedModels, version: LearnedVersion, classes: tuple[str, ...]
    ) -> None:
        self._models = models
        self._version = version
        self._classes = classes

    @property
    def version(self) -> str:
        """Model version of its predictions."""
        return self._version.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names: the background, then label values of the project."""
        return self._classes

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the labels in photographs; see ``segmentation_backend.models.base``.

        Raises:
            TaskError: The model cannot be loaded.
        """
        return self._models.load(self._version).segment(images)


def _classes(version: LearnedVersion | None) -> tuple[str, ...]:
    classes = version.card().get("classes") if version is not None else None
    return tuple(map(str, classes)) if isinstance(classes, list) else ()
