"""Run commands of the learner, a separate program, so that only it loads torch."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from ml_backend.errors import SegstudioError
from segstudio.local.connection import resolve_connection, settings_of_its_backends
from segstudio.local.services import LEARNER
from segstudio.settings import ProjectSettings

Record = dict[str, Any]


class LearningFailedError(SegstudioError, kind="learning"):
    """A command of the learner failed."""


def run_learner(settings: ProjectSettings, words: Sequence[str]) -> Iterator[Record]:
    """Run a command of the learner and yield its records.

    Args:
        settings: Settings that name the Label Studio to learn from.
        words: Command with its options, as in ``python -m segmentation_backend.learning --help``.

    Raises:
        SegstudioError: No Label Studio is known, or the command failed; says why.
    """
    access = resolve_connection(settings)
    own = {name.upper(): str(value) for name, value in settings_of_its_backends(settings).items()}
    variables = {"LABEL_STUDIO_URL": access.url, "LABEL_STUDIO_API_KEY": access.token, **own}
    with subprocess.Popen(  # noqa: S603 - our own program
        [*LEARNER, *words],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield from _records(child)
        finally:
            if child.poll() is None:
                child.terminate()
    if child.returncode:
        raise LearningFailedError(f"the learner exited with code {child.returncode}")


def _records(child: "subprocess.Popen[str]") -> Iterator[Record]:
    for line in child.stdout or ():
        record: Record = json.loads(line)
        if "error" in record:
            raise LearningFailedError(record["error"]["message"], record["error"]["hint"])
        yield record
