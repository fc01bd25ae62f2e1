"""Project of the stack: created on the first start, found again on later ones."""

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
    """Find or create the project, connect both backends, and add missing photographs.

    Args:
        label_studio: Client for the Label Studio instance, as its first user.
        memory: Folder that outlives the containers and stores the project ID.
        pair: Both backends, by the addresses that Label Studio uses.
        photographs: Photographs to label; without any, an empty project gets drawn samples.
        advance: Called with the number of uploaded photographs and the total.

    Returns:
        Project ID.

    Raises:
        LabelStudioError: Label Studio does not respond, or refuses a request.
        ProcessError: Secrets and database belong to different stacks.
    """
    memo = memory / _MEMO
    project = int(memo.read_text()) if memo.exists() else None
    # The folder is a tmpfs of this container.
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
            "restore the volume that belongs to the database, or remove both to start over",
        ) from None
