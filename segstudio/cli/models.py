"""``segstudio models``: list, download and verify the weights of the big models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.errors import ModelError
from ml_backend.models.catalog import Model, checkpoint_of, find_model, known_models, presence
from ml_backend.models.catalog import verify as check_files
from ml_backend.models.checkpoints import CheckpointFile
from ml_backend.models.downloads import pull as download
from ml_backend.models.hub import HubModel, authorization, forbids_commercial_use, pin
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app
from segstudio.cli.progress import Bar
from segstudio.settings import PullSettings

app = command_app()

ModelsDir = Annotated[
    Path, typer.Option(envvar="MODELS_DIR", help="Folder with the big models' weights.")
]
_DEFAULT = Path("models")


@dataclass(frozen=True)
class Named:
    """Model named on the command line."""

    model: Model


def _parse(name: str) -> Named:
    try:
        return Named(find_model(name))
    except ModelError as error:
        raise typer.BadParameter(str(error)) from error


@app.callback()
def group() -> None:
    """List, download and check the weights of the big models.

    Without them the backends use the small networks that come with segstudio.
    """


@app.command("list", epilog=EXIT_CODES)
def list_all(models_dir: ModelsDir = _DEFAULT, as_json: JsonOption = False) -> None:
    """List the known models, and whether they are downloaded; with --json, also their files."""
    with reporting(as_json) as report:
        columns = ("name", "setting", "size", "classes", "here", "sha256 begins", "licence")
        report.table(columns, (_row(model, models_dir) for model in known_models()))
        for model in known_models():
            report.result(_record(model, models_dir))


@app.command(epilog=EXIT_CODES)
def pull(
    named: Annotated[
        Named,
        typer.Argument(parser=_parse, metavar="NAME", help="Name of the model, or hf:OWNER/NAME."),
    ],
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Download the weights of a model.

    An interrupted download is resumed, automatically and by the same command. A file appears only
    when its SHA-256 is right. The first pull of a model of the hub pins its commit in models.lock.
    """
    model = named.model
    with reporting(as_json) as report:
        hub = read_settings(PullSettings)
        weights = pin(model, models_dir, hub) if isinstance(model, HubModel) else model
        forbidden = forbids_commercial_use(weights.licence)
        report.print(f"licence of {model.name}: {weights.licence}", "red" if forbidden else "")
        headers = authorization(hub) if isinstance(model, HubModel) else None
        with report.progress(model.name, unit="bytes") as bar:
            watcher = _BarWatcher(report, bar)
            fetched = download(weights, models_dir, watcher, headers=headers)
        report.print(f"{model.name} is in {models_dir}; use it with {model.setting}={model.name}")
        report.result(_record(model, models_dir) | {"fetched": [file.path for file in fetched]})


@app.command(epilog=EXIT_CODES)
def verify(
    named: Annotated[
        list[Named] | None,
        typer.Argument(parser=_parse, metavar="NAME", help="Models; default: all downloaded."),
    ] = None,
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Verify downloaded files by their SHA-256."""
    some_failed = False
    with reporting(as_json) as report:
        chosen = [each.model for each in named or ()] or [
            m for m in known_models() if presence(m, models_dir) != "no"
        ]
        if not chosen:
            report.print(f"there are no weights in {models_dir}")
        for model in report.track(chosen, "models", len(chosen)):
            record = {"name": model.name, "right": True}
            try:
                check_files(model, models_dir)
            except ModelError as error:
                some_failed = True
                wrong = {"right": False, "message": error.message, "hint": error.hint}
                report.error(f"{model.name}: {error}", record | wrong)
            else:
                report.print(f"{model.name}: intact")
                report.result(record)
    if some_failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _row(model: Model, models_dir: Path) -> tuple[str, ...]:
    weights = checkpoint_of(model, models_dir)
    about = f"{model.megabytes} MB" if isinstance(model, HubModel) else ""
    return (
        model.name,
        model.setting,
        f"{weights.size / 1e6:,.0f} MB" if weights else about,
        str(model.classes or "-"),
        presence(model, models_dir),
        weights.files[-1].sha256[:8] if weights else "at pull",
        weights.licence if weights else model.licence,
    )


def _record(model: Model, models_dir: Path) -> dict[str, object]:
    weights = checkpoint_of(model, models_dir)
    return {
        "name": model.name,
        "setting": model.setting,
        "licence": weights.licence if weights else model.licence,
        "classes": model.classes,
        "here": presence(model, models_dir),
        "files": [
            {
                "path": str(models_dir / file.path),
                "size": file.size,
                "sha256": file.sha256,
                "url": file.url,
            }
            for file in (weights.files if weights else ())
        ],
    }


@dataclass(frozen=True)
class _BarWatcher:
    """Shows the bytes of the current file on a progress bar, and notes above it."""

    report: Report
    bar: Bar

    def progress(self, file: CheckpointFile, done: int) -> None:
        self.bar.update(done, file.size, Path(file.path).name)

    def note(self, text: str) -> None:
        self.report.warn(text)
