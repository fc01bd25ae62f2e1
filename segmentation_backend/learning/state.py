"""State of a project between runs: its last run, and which version is published."""

from dataclasses import asdict, dataclass
from pathlib import Path

from segmentation_backend.learning.store import (
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    read_json,
    write_json,
)

_LAST_RUN = "last-run.json"
_PUBLISHED = "published.json"


@dataclass(frozen=True)
class RunState:
    """Last run of a project.

    Attributes:
        digest: Digest of the examples that it read.
        annotations: Number of annotations in Label Studio when it started.
        seconds: Duration of the run in seconds.
        ended: Unix time of its end.
    """

    digest: str = ""
    annotations: int = -1
    seconds: float = 0.0
    ended: float = 0.0


def read_state(root: Path, project: ProjectKey) -> RunState:
    """Return the last run of a project; an empty one if there is none."""
    try:
        return RunState(**read_json(root / str(project) / _LAST_RUN))
    except TypeError:
        return RunState()


def write_state(root: Path, project: ProjectKey, state: RunState) -> None:
    """Store the last run of a project.

    Raises:
        LearnedStoreError: The file cannot be written.
    """
    write_json(root / str(project) / _LAST_RUN, asdict(state))


def is_published(root: Path, project: ProjectKey) -> bool:
    """Return whether Label Studio has the predictions of the current version."""
    current = ProjectStore(root, project).current()
    known = read_json(root / str(project) / _PUBLISHED)
    return bool(known.get("version") == (current.name if current else None))


def mark_published(root: Path, project: ProjectKey, version: LearnedVersion | None) -> None:
    """Record that all unfinished tasks have the predictions of a version.

    Raises:
        LearnedStoreError: The file cannot be written.
    """
    content = {"version": version.name if version else None}
    write_json(root / str(project) / _PUBLISHED, content)
