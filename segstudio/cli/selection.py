"""The projects that ``export`` and ``agreement`` read: options and connection."""

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
        help="Take rectangles for masks even in projects that have brushes or polygons.",
    ),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="CSV whose columns are joined: what `segstudio media upload` wrote."),
]
IdentifierOption = Annotated[
    str, typer.Option("--identifier-column", help="Column of the manifest that is the key.")
]


@contextmanager
def annotation_reader() -> Iterator[AnnotationReader]:
    """Connect to the Label Studio that the settings name, else that of ``make up``.

    Raises:
        SettingsError: No Label Studio is named.
        LabelStudioError: Label Studio refuses a call of the body.
    """
    with open_label_studio(read_settings(ProjectSettings)) as label_studio:
        yield AnnotationReader(label_studio)


def image_source() -> ImageSource:
    """Return a loader of images that reads uploads as the user of the command.

    Images are not kept: each is needed once.

    Raises:
        SettingsError: A variable is wrong, or no Label Studio is named.
    """
    access = resolve_connection(read_settings(ProjectSettings))
    of_label_studio = {
        "label_studio_url": access.url,
        "label_studio_api_key": SecretStr(access.token),
        "image_cache_mb": 0,
    }
    return ImageSource(read_settings(BackendSettings).model_copy(update=of_label_studio))
