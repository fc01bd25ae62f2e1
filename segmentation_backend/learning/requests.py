"""Requests for learning runs: a file in the project's folder, which outlives every process."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import structlog

from segmentation_backend.learning.store import (
    LearnedStoreError,
    ProjectKey,
    read_json,
    write_json,
    writing,
)

log = structlog.get_logger(__name__)

Mode = Literal["auto", "nightly", "off"]

QUIET_SECONDS = 10.0
"""Seconds from the last annotation to the start of a run."""

LONGEST_WAIT = 60.0
"""Maximum seconds from the first annotation to the start of a run."""

NIGHT = range(1, 5)
"""Hours of local time in which ``LEARN=nightly`` learns."""

TRAIN = "START_TRAINING"
_ANNOTATED = frozenset(
    {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"}
)
_FILE = "request.json"


@dataclass(frozen=True)
class LearningRequest:
    """Request to learn a project's labels.

    Attributes:
        first: Unix time of the first annotation that no run has read.
        last: Unix time of the last one.
        at_once: Whether a user requested the run, by a button or a command.
    """

    first: float
    last: float
    at_once: bool = False

    def due_at(self, mode: Mode) -> float:
        """Return the Unix time at which a run is due; infinity without one."""
        if self.at_once:
            return self.first
        if mode == "off":
            return math.inf
        quiet = min(self.last + QUIET_SECONDS, self.first + LONGEST_WAIT)
        return _night_after(quiet) if mode == "nightly" else quiet


class RequestFile:
    """File with a project's request.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        project: Project to learn.
    """

    def __init__(self, root: Path, project: ProjectKey) -> None:
        self._path = root / str(project) / _FILE

    def read(self) -> LearningRequest | None:
        """Return the pending request, or None."""
        try:
            return LearningRequest(**read_json(self._path))
        except TypeError:
            return None

    def add(self, at_once: bool = False) -> None:
        """Request a run.

        Raises:
            LearnedStoreError: The file cannot be written.
        """
        now, before = time.time(), self.read()
        first = now if before is None else before.first
        at_once = at_once or (before is not None and before.at_once)
        write_json(self._path, asdict(LearningRequest(first, now, at_once)))

    def answer(self, done: LearningRequest) -> None:
        """Remove a completed request, unless it was updated since.

        Raises:
            LearnedStoreError: The file cannot be written.
        """
        now = self.read()
        if now == done:
            with writing(self._path):
                self._path.unlink(missing_ok=True)
        elif now is not None and now.first == done.first:
            write_json(self._path, asdict(LearningRequest(now.last, now.last, now.at_once)))


def note_event(root: Path, event: str, data: Mapping[str, Any]) -> None:
    """Record an event of Label Studio that requests a run; never raises.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        event: Name of the event.
        data: Objects of the event, with the project.
    """
    if event != TRAIN and event not in _ANNOTATED:
        return
    project = data.get("project")
    key = ProjectKey.of(project) if isinstance(project, Mapping) else ProjectKey.parse(project)
    if key is None:
        log.warning("event_without_project", action=event)
        return
    _add(root, key, at_once=event == TRAIN)


def request_again(root: Path, project: ProjectKey) -> None:
    """Request a run of a project whose model is unusable; never raises."""
    _add(root, project, at_once=True)


def _add(root: Path, project: ProjectKey, at_once: bool) -> None:
    try:
        RequestFile(root, project).add(at_once)
    except LearnedStoreError as error:
        log.warning("learning_not_requested", project=project.id, reason=str(error))


def _night_after(moment: float) -> float:
    """Return the first moment within the nightly hours that is not before ``moment``."""
    local = datetime.fromtimestamp(moment).astimezone()
    if local.hour in NIGHT:
        return moment
    begin = local.replace(hour=NIGHT.start, minute=0, second=0, microsecond=0)
    return (begin if begin > local else begin + timedelta(days=1)).timestamp()
