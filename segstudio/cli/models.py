"""``segstudio models``: the big models' weights, listed, fetched and checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFile
from segstudio.cli.console import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, reporting

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

ModelsDir = Annotated[
    Path, typer.Option(envvar="MODELS_DIR", help="Folder with the big models' weights.")
]
_DEFAULT = Path("models")


def _named(name: str) -> Checkpoint:
    for weights in CHECKPOINTS:
        if weights.name == name:
            return weights
    names = ", ".join(weights.name for weights in CHECKPOINTS)
    raise typer.BadParameter(f"{name!r} is none of {names}")


@app.callback()
def group() -> None:
    """List, fetch and check the weights of the big models.

    Without them the backends use the small networks that come with segstudio.
    """


@app.command("list", epilog=EXIT_CODES)
def list_all(models_dir: ModelsDir = _DEFAULT, as_json: JsonOption = False) -> None:
    """Show the models that are known, and which are here; with --json, all about their files."""
    with reporting(as_json) as report:
        report.table(
            ("name", "setting", "size", "here", "sha256 begins", "licence"),
            (
                (
                    weights.name,
                    weights.setting,
                    f"{weights.size / 1e6:,.0f} MB",
                    _state(weights, models_dir),
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
        Checkpoint, typer.Argument(parser=_named, metavar="NAME", help="Of the model.")
    ],
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Fetch the weights of a model.

    A broken download is resumed, by itself and by the same command. Nothing is put in place before
    its SHA-256 is right.
    """
    from ml_backend.models.downloads import pull

    with reporting(as_json) as report:
        report.print(f"licence of {weights.name}: {weights.licence}")
        with _watching(weights, as_json) as watcher:
            fetched = pull(weights, models_dir, watcher)
        use = f"{weights.setting}={weights.name}"
        report.print(f"{weights.name} is in {models_dir}; use it with {use}")
        places = [file.path for file in fetched]
        report.result(_record(weights, models_dir) | {"fetched": places})


@app.command(epilog=EXIT_CODES)
def verify(
    named: Annotated[
        list[Checkpoint] | None,
        typer.Argument(
            parser=_named, metavar="NAME", help="Of models; default: all that are here."
        ),
    ] = None,
    models_dir: ModelsDir = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Compare the files that are here with the SHA-256 that they must have."""
    some_failed = False
    with reporting(as_json) as report:
        chosen = named or _here(models_dir)
        if not chosen:
            report.print(f"there are no weights in {models_dir}")
        for weights in chosen:
            record = {"name": weights.name, "right": True}
            try:
                weights.check(models_dir)
            except ModelError as error:
                some_failed = True
                said = {"message": error.message, "hint": error.hint}
                report.error(f"{weights.name}: {error}", record | {"right": False} | said)
            else:
                report.print(f"{weights.name}: right")
                report.result(record)
    if some_failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _here(models_dir: Path) -> list[Checkpoint]:
    return [weights for weights in CHECKPOINTS if _state(weights, models_dir) != "no"]


def _state(weights: Checkpoint, models_dir: Path) -> str:
    missing = len(weights.missing(models_dir))
    return "yes" if not missing else "no" if missing == len(weights.files) else "in part"


def _record(weights: Checkpoint, models_dir: Path) -> dict[str, object]:
    return {
        "name": weights.name,
        "setting": weights.setting,
        "licence": weights.licence,
        "here": _state(weights, models_dir),
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


class _BarWatcher:
    """Shows bytes on a bar, and notes above it."""

    def __init__(self, bar: Progress, lines: dict[str, TaskID]) -> None:
        self._bar = bar
        self._lines = lines

    def progress(self, file: CheckpointFile, done: int) -> None:
        self._bar.update(self._lines[file.path], completed=done, visible=True)

    def note(self, text: str) -> None:
        self._bar.console.print(text, style="yellow", soft_wrap=True, markup=False)


@contextmanager
def _watching(weights: Checkpoint, as_json: bool) -> Iterator[_BarWatcher]:
    console = Console(stderr=True, quiet=as_json)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=as_json or not console.is_terminal,
    ) as bar:
        lines = {
            file.path: bar.add_task(Path(file.path).name, total=file.size, visible=False)
            for file in weights.files
        }
        yield _BarWatcher(bar, lines)
