"""Learner: waits for requests, and passes each to a child process of the lowest priority.

It imports no torch, so it uses little memory while it waits; a run's memory is freed with the run.
"""

import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from ml_backend.errors import LabelStudioError, SegstudioError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.responses import Project
from segmentation_backend.learning.example import FEWEST
from segmentation_backend.learning.requests import Mode, RequestFile
from segmentation_backend.learning.state import is_published, read_state, write_state
from segmentation_backend.learning.store import (
    LearnedStoreError,
    ProjectKey,
    known_projects,
    project_key,
)

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
CATCH_UP_SECONDS = 600.0
"""Seconds between two comparisons with Label Studio, which notice annotations without an event."""

_REST = 3.0
"""Minimum time between two automatic runs of a project, as a multiple of a run's length."""

_FIRST_RETRY, _LONGEST_RETRY = 10.0, 300.0

EXIT_GONE = 4
"""Exit code of a child whose project no longer exists in Label Studio."""

_CHILD = (sys.executable, "-m", "segmentation_backend.learning")


@dataclass(frozen=True)
class Job:
    """Work of a child process.

    Attributes:
        verb: Command: ``run`` or ``publish``.
        project: Project to work on.
        thorough: Whether a run fine-tunes the network.
    """

    verb: str
    project: ProjectKey
    thorough: bool = False


def next_job(root: Path, mode: Mode, now: float, resting: dict[ProjectKey, float]) -> Job | None:
    """Return the next job: the request that is due longest, else a project to publish.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        mode: Value of ``LEARN``.
        now: Unix time.
        resting: Unix time before which failed projects are not retried, by project.
    """
    projects = [key for key in known_projects(root) if resting.get(key, 0) <= now]
    due = [(at, key) for key in projects if (at := due_at(root, key, mode)) <= now]
    if due:
        project = min(due)[1]
        request = RequestFile(root, project).read()
        asked = request is not None and request.at_once
        return Job("run", project, thorough=mode == "nightly" and not asked)
    return next((Job("publish", key) for key in projects if not is_published(root, key)), None)


def due_at(root: Path, project: ProjectKey, mode: Mode) -> float:
    """Return the Unix time at which a project's request is due; infinity without one."""
    request = RequestFile(root, project).read()
    if request is None:
        return math.inf
    last = read_state(root, project)
    rest_over = 0.0 if request.at_once else last.ended + _REST * last.seconds
    return max(request.due_at(mode), rest_over)


class Learner:
    """Serves requests until SIGTERM.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        mode: Value of ``LEARN``.
        label_studio: Client for the Label Studio instance.
        command: Program and first arguments of a child, to be followed by verb and options.

    Attributes:
        rests: Unix time before which failed projects are not retried, by project.
    """

    def __init__(
        self,
        root: Path,
        mode: Mode,
        label_studio: LabelStudio,
        command: Sequence[str] = _CHILD,
    ) -> None:
        self._root = root
        self._mode = mode
        self._label_studio = label_studio
        self._command = command
        self._stopped = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self.rests: dict[ProjectKey, float] = {}
        self._failures: dict[ProjectKey, int] = {}

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Stop after terminating the child; the next start continues from there."""
        self._stopped.set()
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)

    def serve(self) -> None:
        """Work on due requests until stopped."""
        log.info("learner_ready", mode=self._mode, folder=str(self._root))
        catch_up_at = 0.0
        while not self._stopped.is_set():
            if time.monotonic() >= catch_up_at:
                self.catch_up()
                catch_up_at = time.monotonic() + CATCH_UP_SECONDS
            job = next_job(self._root, self._mode, time.time(), self.rests)
            if job is None:
                self._stopped.wait(LOOK_SECONDS)
            elif not self._answered(job):
                self._do(job)

    def catch_up(self) -> None:
        """Request a run of each project whose annotations differ from those of the last run."""
        for key in known_projects(self._root):
            try:
                project = self._label_studio.project(key.id)
                if (
                    project_key(project) == key
                    and project.annotations != read_state(self._root, key).annotations
                ):
                    RequestFile(self._root, key).add()
            except LabelStudioError as error:
                if error.status is None:
                    log.warning("label_studio_away", reason=str(error))
                    return
            except LearnedStoreError as error:
                log.warning("cannot_write", reason=str(error))
                return

    def _answered(self, job: Job) -> bool:
        """Answer an automatic request of a project with too few annotations, without a child.

        Returns False for all other jobs: a child does them, and reports what is wrong.

        Labelers would notice the processor time of a child after each of their first submissions.
        """
        request_file = RequestFile(self._root, job.project)
        request = request_file.read()
        if job.verb != "run" or request is None or request.at_once:
            return False
        try:
            project = self._label_studio.project(job.project.id)
            if project_key(project) != job.project or _most_images(project) >= FEWEST:
                return False
            state = replace(read_state(self._root, job.project), annotations=project.annotations)
            write_state(self._root, job.project, state)
            request_file.answer(request)
        except SegstudioError:
            return False
        log.info("too_few_annotations", project=project.id, annotations=project.annotations)
        return True

    def _do(self, job: Job) -> None:
        project = ["--project", str(job.project.id), "--requested", str(job.project)]
        thorough = ["--thorough"] if job.thorough else []
        words = [*self._command, job.verb, *project, *thorough]
        log.info("learning_begins" if job.verb == "run" else "publishing", project=job.project.id)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
            self._child = child
            if self._stopped.is_set():
                child.terminate()
            for line in child.stdout or ():
                _log_line(job, line)
        self._child = None
        if child.returncode == 0:
            self._failures.pop(job.project, None)
        elif child.returncode == EXIT_GONE:
            self.rests[job.project] = math.inf
        elif not self._stopped.is_set():
            self._rest(job.project)

    def _rest(self, project: ProjectKey) -> None:
        failures = self._failures.get(project, 0)
        self._failures[project] = failures + 1
        seconds = min(_FIRST_RETRY * 2**failures, _LONGEST_RETRY)
        self.rests[project] = time.time() + seconds
        log.warning("tried_again_later", project=project.id, seconds=seconds)


def _most_images(project: Project) -> float:
    """Return the most annotated images a project can have; infinity if its config does not tell."""
    config = parse_label_config(project.label_config)
    images = [config.images[name] for name in config.mask_images()]
    if not images or any(each.pages for each in images):
        return math.inf
    return project.annotations * len(images)


def _log_line(job: Job, line: str) -> None:
    """Log a line of a child, except its progress."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        log.info("child", text=line.rstrip())
        return
    match record:
        case {"dropped": what, "reason": reason}:
            log.warning("left_out", project=job.project.id, what=what, reason=reason)
        case {"error": {"message": message}}:
            log.warning("run_failed", project=job.project.id, reason=message)
        case {"promoted": promoted, "reason": reason, **more}:
            version = more.get("version")
            event = "promoted" if promoted else "kept"
            log.info(event, project=job.project.id, version=version, reason=reason)
