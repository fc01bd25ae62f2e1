"""Command line of the learner: the learner itself, and the commands of ``segstudio learn``.

Commands write JSON Lines to stdout, and nothing else.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import httpx

from ml_backend.errors import LabelStudioError, SegstudioError, SettingsError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.responses import Project
from ml_backend.serving.logs import configure_logging
from ml_backend.serving.settings import read_settings
from segmentation_backend.learning.learner import EXIT_GONE, Learner, due_at
from segmentation_backend.learning.priority import lower_priority, one_at_a_time
from segmentation_backend.learning.store import (
    LearnedVersion,
    ProjectStore,
    known_projects,
    learned_folder,
    project_key,
)
from segmentation_backend.settings import SegmentationSettings

SHIPPED = "shipped"
"""Name used instead of a version: the model of projects that have learned nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the learner or a command; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(SegmentationSettings)
        configure_logging(settings.log_level)  # to stderr
        with _open_label_studio(settings) as label_studio:
            return int(options.command(_Context(settings, label_studio), options))
    except SegstudioError as error:
        if options.command is _serve:
            sys.exit(f"error: {error}")
        report({"error": {"type": error.kind, "message": error.message, "hint": error.hint}})
        gone = isinstance(error, LabelStudioError) and error.status == httpx.codes.NOT_FOUND
        return EXIT_GONE if gone else 1


def report(record: Mapping[str, Any]) -> None:
    """Write a record as one line of JSON."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


class JsonProgress:
    """Reports the progress of a run as JSON Lines."""

    def step(self, text: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` parts of a step are complete."""
        report({"step": text, "done": done, "total": total})

    def drop(self, identity: str, reason: str) -> None:
        """Report an unusable example."""
        report({"dropped": identity, "reason": reason})


class _Context:
    """Context that commands work in."""

    def __init__(self, settings: SegmentationSettings, label_studio: LabelStudio) -> None:
        self.settings = settings
        self.label_studio = label_studio
        self.root = learned_folder(settings.models_dir)

    def project(self, id_: int, requested: str | None = None) -> Project:
        """Return a project, if it is the one that the learner requested.

        Raises:
            LabelStudioError: The project does not exist.
        """
        project = self.label_studio.project(id_)
        if requested not in (None, str(project_key(project))):
            raise LabelStudioError(
                f"project {id_} is another one than that of {requested}", status=404
            )
        return project

    def store(self, id_: int) -> ProjectStore:
        """Return the versions of a project."""
        return ProjectStore(self.root, project_key(self.project(id_)))

    def stores(self, ids: Sequence[int] | None) -> list[ProjectStore]:
        """Return the versions of projects; without IDs, of all that have some."""
        if ids is None:
            return [ProjectStore(self.root, key) for key in known_projects(self.root)]
        return [self.store(id_) for id_ in ids]

    def keep_on(self) -> bool:
        """Return whether no request is due, so that predictions may continue."""
        now, mode = time.time(), self.settings.learn
        return all(due_at(self.root, key, mode) > now for key in known_projects(self.root))

    def alone(self) -> ExitStack:
        """Return a context with low priority and without a concurrent run."""
        stack = ExitStack()
        lower_priority(self.settings.learn_nice)
        stack.enter_context(one_at_a_time(self.root, lambda: report({"waiting": True})))
        return stack


def _open_label_studio(settings: SegmentationSettings) -> LabelStudio:
    key = settings.label_studio_api_key
    if not (settings.label_studio_url and key):
        raise SettingsError(
            "learning needs Label Studio's annotations",
            "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY",
        )
    return LabelStudio(settings.label_studio_url, key.get_secret_value())


def _serve(context: _Context, options: argparse.Namespace) -> int:  # noqa: ARG001
    lower_priority(context.settings.learn_nice)
    learner = Learner(context.root, context.settings.learn, context.label_studio)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, learner.stop)
    learner.serve()
    return 0


def _run(context: _Context, options: argparse.Namespace) -> int:
    from segmentation_backend.learning.run import Runner, RunOptions

    how = RunOptions(options.thorough, options.unlabelled, at_once=options.requested is None)
    runner = Runner(context.settings, context.label_studio, JsonProgress())
    with context.alone():
        for id_ in options.project:
            project = context.project(id_, options.requested)
            outcome = runner.learn(project, how)
            report(outcome)
            if outcome["promoted"]:
                runner.publish(project, context.keep_on if options.requested else lambda: True)
    return 0


def _publish(context: _Context, options: argparse.Namespace) -> int:
    from segmentation_backend.learning.run import Runner

    runner = Runner(context.settings, context.label_studio, JsonProgress())
    with context.alone():
        for id_ in options.project:
            runner.publish(context.project(id_, options.requested), context.keep_on)
    return 0


def _list(context: _Context, options: argparse.Namespace) -> int:
    for store in context.stores(options.project):
        current = store.current()
        for version in store.versions():
            report(
                {
                    "project": store.project.id,
                    "version": version.name,
                    "current": version == current,
                    "folder": str(version.folder),
                    "card": version.card(),
                }
            )
    return 0


def _use(context: _Context, options: argparse.Namespace) -> int:
    store = context.store(options.project[0])
    version = None if options.version == SHIPPED else store.find(options.version)
    store.use(version)
    return _report_current(options.project[0], version)


def _rollback(context: _Context, options: argparse.Namespace) -> int:
    return _report_current(options.project[0], context.store(options.project[0]).rollback())


def _report_current(project: int, version: LearnedVersion | None) -> int:
    report({"project": project, "version": version.name if version else SHIPPED})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m segmentation_backend.learning", description=__doc__)
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")

    def command(
        name: str, run: Callable[[_Context, argparse.Namespace], int], summary: str
    ) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=summary)
        needed = run is not _list
        found.add_argument("--project", type=_projects, required=needed, help="project IDs: 3,4")
        found.add_argument("--requested", help=argparse.SUPPRESS)
        found.set_defaults(command=run)
        return found

    run = command("run", _run, "learn from projects, and write their predictions")
    run.add_argument("--thorough", action="store_true", help="fine-tune the network")
    run.add_argument("--unlabelled", choices=("background", "ignore"), default="background")
    command("publish", _publish, "write the predictions of the version that serves")
    command("list", _list, "list the versions of projects")
    use = command("use", _use, "let a version serve")
    use.add_argument("version", help=f"name or number of a version, or {SHIPPED}")
    command("rollback", _rollback, "let the version before serve")
    return parser


def _projects(text: str) -> list[int]:
    return list(dict.fromkeys(int(part) for part in text.split(",")))
