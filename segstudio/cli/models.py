"""``segstudio models``: the big models' weights, listed, downloaded and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFile
from ml_backend.models.downloads import pull as download
from segstudio.cli.console import Bar, Report, reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app

app = command_app()

ModelsDir = Annotated[
    Path, typer.Option(envvar="MODELS_DIR", help="Folder with the big models' weights.")
]
_DEFAULT = Path("models")


def _find_checkpoint(name: str) -> Checkpoint:
    by_name = {weights.name: weights for weights in CHECKPOINTS}
    if name not in by_name:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(by_name)}")
    return by_name[name]


@app.callback()
def group() -> None:
    """List, download and check the weights of the big models.

    Without them the backends use the small networks that come with segstudio.
    """


@app.command("list", epilog=EXIT_CODES)
def list_all(models_dir: ModelsDir = _DEFAULT, as_json: JsonOption = False) -> None:
    """List the known models and which are here; with --json, with their files."""
    with reporting(as_json) as report:
        report.table(
            ("name", "setting", "size", "here", "sha256 begins", "licence"),
            (
                (
                    weights.name,
                    weights.setting,
                    f"{weights.size / 1e6:,.0f} MB",
                    _presence(weights, models_dir),
                    weights.files[-1].sha256[:8],
                    weights.licence,
                )
                for weights in CHECKPOINTS
            ),
        )
        for weights in CHECKPOINTS:
            report.result(_record(weights, models_dir))


@app.command(epilog=EXIT_CODES)
def pull(
    weights: Annotated[
        Checkpoint,
        typer.Argument(parser=_find_checkpoint, metavar="NAME", help="Name of the model."),
    ],
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Download the weights of a model.

    A broken download is resumed, automatically and by the same command. A file appears only when
    its SHA-256 is right.
    """
    with reporting(as_json) as report:
        report.print(f"licence of {weights.name}: {weights.licence}")
        with report.progress(weights.name, unit="bytes") as bar:
            fetched = download(weights, models_dir, _BarWatcher(report, bar))
        setting = f"{weights.setting}={weights.name}"
        report.print(f"{weights.name} is in {models_dir}; use it with {setting}")
        report.result(_record(weights, models_dir) | {"fetched": [file.path for file in fetched]})


@app.command(epilog=EXIT_CODES)
def verify(
    named: Annotated[
        list[Checkpoint] | None,
        typer.Argument(parser=_find_checkpoint, metavar="NAME", help="Models; default: all here."),
    ] = None,
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Compare the files that are here with their SHA-256."""
    some_failed = False
    with reporting(as_json) as report:
        chosen = named or [w for w in CHECKPOINTS if _presence(w, models_dir) != "no"]
        if not chosen:
            report.print(f"there are no weights in {models_dir}")
        for weights in chosen:
            record = {"name": weights.name, "right": True}
            try:
                weights.check(models_dir)
            except ModelError as error:
                some_failed = True
                wrong = {"right": False, "message": error.message, "hint": error.hint}
                report.error(f"{weights.name}: {error}", record | wrong)
            else:
                report.print(f"{weights.name}: right")
                report.result(record)
    if some_failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _presence(weights: Checkpoint, models_dir: Path) -> str:
    missing, files = len(weights.missing(models_dir)), len(weights.files)
    return {0: "yes", files: "no"}.get(missing, "in part")


def _record(weights: Checkpoint, models_dir: Path) -> dict[str, object]:
    return {
        "name": weights.name,
        "setting": weights.setting,
        "licence": weights.licence,
        "here": _presence(weights, models_dir),
        "files": [
            {
                "path": str(models_dir / file.path),
                "size": file.size,
                "sha256": file.sha256,
                "url": file.url,
            }
            for file in weights.files
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
