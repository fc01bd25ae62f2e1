"""``segstudio stack``: one-shot steps of docker-compose.yml."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import reporting
from segstudio.cli.options import EXIT_CODES, command_app
from segstudio.compose.bootstrap import bootstrap as create_project
from segstudio.compose.make_secrets import PASSWORD, make_secrets
from segstudio.compose.weights import link_baked, pull_named
from segstudio.data.tables import describe_left_out
from segstudio.local.connection import backend_pair, open_label_studio
from segstudio.local.images import find_photographs
from segstudio.local.upgrade import upgrade_line
from segstudio.settings import ProjectSettings, PullSettings

app = command_app()

SecretsOption = Annotated[
    Path,
    typer.Option("--secrets", envvar="SECRETS_DIR", help="Folder with a file for each secret."),
]


@app.callback()
def group() -> None:
    """Run the one-shot steps of docker-compose.yml.

    Each step is idempotent and runs on each start.
    """


@app.command("secrets", epilog=EXIT_CODES)
def make(secrets: SecretsOption) -> None:
    """Create the secrets of the stack that do not exist yet."""
    with reporting(as_json=False) as report:
        made = make_secrets(secrets)
        report.print(f"created: {', '.join(made)}" if made else "all secrets exist")


@app.command(epilog=EXIT_CODES)
def models(
    named: Annotated[
        list[str], typer.Argument(help="Models as in SEGMENTATION_MODEL and SAM_MODEL.")
    ],
    models_dir: Annotated[Path, typer.Option(envvar="MODELS_DIR", help="Folder for the weights.")],
    baked: Annotated[
        Path, typer.Option(help="Folder of the image with the weights that BAKE_WEIGHTS named.")
    ] = Path("/opt/models"),
) -> None:
    """Link the weights that the image has and download those that are named, or report why not."""
    with reporting(as_json=False) as report:
        link_baked(baked, models_dir, report.print)
        pull_named(set(named), models_dir, report.print, read_settings(PullSettings))


@app.command(epilog=EXIT_CODES)
def bootstrap(
    secrets: SecretsOption,
    segmentation: Annotated[
        str,
        typer.Option(
            envvar="SEGMENTATION_URL", help="Segmentation backend as Label Studio reaches it."
        ),
    ],
    sam: Annotated[
        str, typer.Option(envvar="SAM_URL", help="Sam backend as Label Studio reaches it.")
    ],
    address: Annotated[
        str, typer.Option(envvar="LABEL_STUDIO_HOST", help="Label Studio as browsers reach it.")
    ],
    login: Annotated[
        str, typer.Option(envvar="LABEL_STUDIO_USERNAME", help="E-mail address of the first user.")
    ],
    images: Annotated[
        Path | None, typer.Option(envvar="IMAGES", help="Folder with photographs to label.")
    ] = None,
) -> None:
    """Create the project with both backends, and print how to log in."""
    with reporting(as_json=False) as report:
        settings = read_settings(ProjectSettings)
        left_out: Counter[str] = Counter()
        photographs = find_photographs(images, left_out) if images else []
        if left_out:
            report.print(f"IMAGES: {describe_left_out(left_out)}")
        pair = backend_pair(settings, segmentation, sam)
        with open_label_studio(settings) as label_studio:
            project = create_project(
                label_studio,
                secrets,
                pair,
                photographs,
                lambda done, total: report.print(f"{done} of {total} photographs uploaded"),
            )
        report.print(f"Ready: {address.rstrip('/')}/projects/{project}/data", "bold green")
        if larger := upgrade_line(pair):
            report.print(larger)
        report.print(f"Login: {login}")
        report.print(f"Password: docker compose exec label-studio cat {secrets / PASSWORD}")
