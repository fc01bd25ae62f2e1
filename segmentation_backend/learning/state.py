"""What is remembered of a project between runs: its last run, and which version is published."""

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
    """The last run.

    Attributes:
        digest: Digest of the examples that it read.
        annotations: Label Studio's number of annotations at its start.
        seconds: How long it took.
        ended: Unix time of its end.
    """

    digest: str = ""
    annotations: int = -1
    seconds: float = 0.0
    ended: float = 0.0


def read_state(root: Path, project: ProjectKey) -> RunState:
    """Return the last run of a project; without one, an empty one."""
    try:
        return RunState(**read_json(root / str(project) / _LAST_RUN))
    except TypeError:
        return RunState()


def write_state(root: Path, project: ProjectKey, state: RunState) -> None:
    """Remember the last run of a project.

    Raises:
        LearnedStoreError: The file cannot be written.
    """
    write_json(root / str(project) / _LAST_RUN, asdict(state))


def is_published(root: Path, project: ProjectKey) -> bool:
    """Whether the predictions in Label Studio are those of the version that serves."""
    current = ProjectStore(root, project).current()
    known = read_json(root / str(project) / _PUBLISHED)
    return bool(known.get("version") == (current.name if current else None))


def mark_published(root: Path, project: ProjectKey, version: LearnedVersion | None) -> None:
    """Remember that all unfinished tasks have the predictions of a version.

    Raises:
        LearnedStoreError: The file cannot be written.
    """
    content = {"version": version.name if version else None}
    write_json(root / str(project) / _PUBLISHED, content)
