"""The project of the stack: made on the first start, found again and left alone on later ones."""

from collections.abc import Sequence
from pathlib import Path

import httpx

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from segstudio.data.atomic_files import atomic_write
from segstudio.errors import ProcessError
from segstudio.labelstudio.ml_backends import BackendPair
from segstudio.local.demo_project import Advance, DemoProjectSpec, update_demo_project
from segstudio.local.images import Photograph

_MEMO = "project"


def bootstrap(
    label_studio: LabelStudio,
    memory: Path,
    pair: BackendPair,
    photographs: Sequence[Photograph],
    advance: Advance,
) -> int:
    """Make or find the project, connect both backends, add the photographs that it lacks.

    Args:
        label_studio: As its first user.
        memory: Folder that outlives the containers, where the project's id is noted.
        pair: Both backends, as Label Studio reaches them.
        photographs: To label; without any, an empty project gets drawn samples.
        advance: Is told how it goes.

    Returns:
        The project's id.

    Raises:
        LabelStudioError: It does not answer, or refuses something.
        ProcessError: Secrets and database are not of the same stack.
    """
    memo = memory / _MEMO
    project = int(memo.read_text()) if memo.exists() else None
    # A tmpfs of our own.
    spec = DemoProjectSpec(pair, photographs, Path("/tmp/samples"))  # noqa: S108 # nosec B108

    def remember(id_: int) -> None:
        with atomic_write(memo, 0o644) as part:
            part.write_text(f"{id_}\n")

    try:
        return update_demo_project(
            label_studio,
            project,
            spec,
            remember,
            advance,
        )
    except LabelStudioError as error:
        if error.status != httpx.codes.UNAUTHORIZED:
            raise
        raise ProcessError(
            "Label Studio's database does not know the token in the volume of secrets",
            "restore the volume that belongs to the database, or remove both to start afresh",
        ) from None
