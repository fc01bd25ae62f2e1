"""Options and connection of commands that read projects, such as ``export``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from ml_backend.images import ImageSource
from ml_backend.labelstudio.annotations import AnnotationReader
from ml_backend.serving.settings import BackendSettings, read_settings
from segstudio.local.connection import open_label_studio, resolve_connection
from segstudio.settings import ProjectSettings


@dataclass(frozen=True)
class Projects:
    """Project IDs, once each, in the order given."""

    ids: tuple[int, ...]


def _parse(text: str) -> Projects:
    try:
        ids = tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        ids = ()
    if not ids or min(ids) < 1:
        raise typer.BadParameter(f"{text!r} is not a list of project numbers such as 3,4,5")
    return Projects(ids)


ProjectsOption = Annotated[
    Projects,
    typer.Option(
        "--project",
        parser=_parse,
        metavar="3,4,5",
        help="Project IDs (the copies of one project), as in their addresses.",
    ),
]
OptionalProjectsOption = Annotated[
    Projects | None,
    typer.Option(
        "--project", parser=_parse, metavar="3,4,5", help="Project IDs, as in their addresses."
    ),
]
BoxesOption = Annotated[
    bool,
    typer.Option(
        "--with-boxes",
        help="Treat rectangles as masks even in projects with brushes or polygons.",
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="CSV whose columns are joined, as `segstudio media upload` writes it."),
]
IdentifierOption = Annotated[
    str, typer.Option("--identifier-column", help="Column of the manifest that is the key.")
]


@contextmanager
def annotation_reader() -> Iterator[AnnotationReader]:
    """Connect to the configured Label Studio, else to that of ``make up``.

    Raises:
        SettingsError: No Label Studio is configured.
        LabelStudioError: Label Studio refuses a request of the body.
    """
    with open_label_studio(read_settings(ProjectSettings)) as label_studio:
        yield AnnotationReader(label_studio)


def image_source() -> ImageSource:
    """Return an image loader that reads uploads as the user of the command.

    Images are not cached: each is needed once.

    Raises:
        SettingsError: A variable is invalid, or no Label Studio is configured.
    """
    access = resolve_connection(read_settings(ProjectSettings))
    of_label_studio = {
        "label_studio_url": access.url,
        "label_studio_api_key": SecretStr(access.token),
        "image_cache_mb": 0,
    }
    return ImageSource(read_settings(BackendSettings).model_copy(update=of_label_studio))
