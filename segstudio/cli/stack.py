"""``segstudio stack``: what docker-compose.yml runs once on each start."""

from pathlib import Path
from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import EXIT_CODES, reporting

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

SecretsOption = Annotated[
    Path, typer.Option("--secrets", envvar="SECRETS_DIR", help="Folder with a file a secret.")
]
AddressOption = Annotated[
    str, typer.Option(envvar="LABEL_STUDIO_HOST", help="Label Studio as browsers reach it.")
]


@app.callback()
def group() -> None:
    """Do what docker-compose.yml needs done once on each start; run again, nothing is changed."""


@app.command("secrets", epilog=EXIT_CODES)
def make(secrets: SecretsOption) -> None:
    """Create the secrets that are missing."""
    from segstudio.compose.make_secrets import make_secrets

    with reporting(as_json=False) as report:
        made = make_secrets(secrets)
        report.print(f"made: {', '.join(made)}" if made else "all secrets are there")


@app.command(epilog=EXIT_CODES)
def models(
    named: Annotated[list[str], typer.Argument(help="As in SEGMENTATION_MODEL and SAM_MODEL.")],
    models_dir: Annotated[Path, typer.Option(envvar="MODELS_DIR", help="Where weights go.")],
    baked: Annotated[
        Path, typer.Option(help="Where BAKE_WEIGHTS put them when the image was built.")
    ] = Path("/opt/models"),
) -> None:
    """Link the weights that the image has, pull those that are named, or say why that cannot be."""
    from segstudio.compose.weights import link_baked, pull_named

    with reporting(as_json=False) as report:
        link_baked(baked, models_dir, report.print)
        pull_named(set(named), models_dir, report.print)


@app.command(epilog=EXIT_CODES)
def bootstrap(
    secrets: SecretsOption,
    segmentation: Annotated[
        str, typer.Option(envvar="SEGMENTATION_URL", help="As Label Studio reaches it.")
    ],
    sam: Annotated[str, typer.Option(envvar="SAM_URL", help="Likewise.")],
    address: AddressOption,
    login: Annotated[
        str, typer.Option(envvar="LABEL_STUDIO_USERNAME", help="E-mail address of the first user.")
    ],
    images: Annotated[
        Path | None, typer.Option(envvar="IMAGES", help="Folder with photographs to label.")
    ] = None,
) -> None:
    """Make the project with both backends, and tell how to get in."""
    from segstudio.compose.bootstrap import bootstrap
    from segstudio.compose.make_secrets import PASSWORD
    from segstudio.local.connection import backend_pair, open_label_studio
    from segstudio.local.images import find_photographs
    from segstudio.settings import ProjectSettings

    with reporting(as_json=False) as report:
        settings = read_settings(ProjectSettings)
        photographs = find_photographs(images) if images else []
        with open_label_studio(settings) as label_studio:
            project = bootstrap(
                label_studio,
                secrets,
                backend_pair(settings, segmentation, sam),
                photographs,
                lambda done, total: report.print(f"{done} of {total} photographs are there"),
            )
        report.print(f"Ready: {address.rstrip('/')}/projects/{project}/data", "bold green")
        report.print(f"Login: {login}")
        report.print(f"Password: docker compose exec label-studio cat {secrets / PASSWORD}")
