"""``segstudio predict``: predictions for a whole project, manifest, bucket or folder beforehand."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_backend.settings import read_settings
from segstudio.console import EXIT_SOME_FAILED, DryRunOption, JsonOption, Report, reporting
from segstudio.manifest import IDENTIFIER, IMAGE

if TYPE_CHECKING:
    from segstudio.bulk.items import Item, Outcome
    from segstudio.bulk.pipeline import Pipeline
    from segstudio.bulk.run import Sink
    from segstudio.bulk.stores import Store
    from segstudio.bulk.worker import Model


class Format(StrEnum):
    """What a shard is written as."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def predict(
    source: Annotated[
        str | None, typer.Argument(help="Images: gs://bucket/prefix, or a folder.")
    ] = None,
    project: Annotated[
        int | None, typer.Option(min=1, help="Predict the tasks of a project, into the project.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Predict the rows of a CSV, as `images upload` writes it.")
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder or gs://bucket/prefix for the shards; not with --project.")
    ] = "",
    kind: Annotated[
        Format, typer.Option("--format", help="Of the shards; Label Studio itself reads jsonl.")
    ] = Format.JSONL,
    template: Annotated[
        str, typer.Option(help="Label config as for `project create`; a project has its own.")
    ] = "runway_fashion",
    image_column: Annotated[str, typer.Option(help="Of the manifest.")] = IMAGE,
    identifier_column: Annotated[str, typer.Option(help="Of the manifest.")] = IDENTIFIER,
    embed: Annotated[
        bool, typer.Option("--embed", help="Prepare the images for the sam backend, too.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Predict at most so many images this time.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Take the images of failed.csv again.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes with the model; 0: one a GPU, else one a 2 cores.")
    ] = 0,
    ray_address: Annotated[
        str, typer.Option(envvar="RAY_ADDRESS", help="Of a Ray cluster; without: this machine.")
    ] = "",
    retry_seconds: Annotated[
        float, typer.Option(min=0, help="How long a Label Studio that fails is asked again.")
    ] = 300,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict many images at once, before anybody opens a task, on this machine or a Ray cluster.

    Stopped at any moment, the same command goes on: what has a prediction of this model is left
    alone. Images that cannot be read are in failed.csv with the reason (in --out; for a project,
    project-3.failed.csv in this folder) and are left out until --retry-failed.

    `segstudio project create --tasks OUT` makes tasks of shards, with their predictions.
    """
    order = Order(source, project, manifest, out, kind, template, image_column, identifier_column)
    order.check()
    with reporting(as_json) as report, ExitStack() as stack:
        from segstudio.bulk import cluster
        from segstudio.bulk.pipeline import Pipeline

        work = order.open(stack, retry_seconds)
        stack.enter_context(cluster.joined(ray_address))
        pipeline = Pipeline(
            work.settings,
            work.label_config,
            cluster.plan_pool(workers, models=2 if embed else 1),
            embed=embed,
        )
        run = _Run(report, pipeline, work, retry_failed, limit)
        tally = run.look() if dry_run else run.go()
    if tally["failed"] or tally["not_embedded"]:
        raise typer.Exit(EXIT_SOME_FAILED)


@dataclass(frozen=True)
class Order:
    """What is to be predicted and where predictions go; see ``predict``."""

    source: str | None
    project: int | None
    manifest: Path | None
    out: str
    kind: Format
    template: str
    image_column: str
    identifier_column: str

    def check(self) -> None:
        """See that the options go together."""
        given = [each for each in (self.source, self.project, self.manifest) if each is not None]
        if len(given) != 1:
            raise typer.BadParameter("give one of SOURCE, --project and --manifest")
        if self.project is None and not self.out:
            raise typer.BadParameter("say with --out where the shards go")
        if self.project is not None and self.out:
            raise typer.BadParameter("predictions of a project go into the project, without --out")

    def open(self, stack: ExitStack, retry_seconds: float) -> "Work":
        """Look at the source and the target; ``stack`` closes what was opened."""
        if self.project is not None:
            return _project_work(stack, self.project, retry_seconds)
        return _shard_work(self)


@dataclass(frozen=True)
class Work:
    """A source and a target, opened.

    Attributes:
        settings: The segmentation backend's.
        label_config: XML.
        store: That ``failures`` is in.
        failures: Name of the table of failures.
        target: Makes, for a model, the items and where their predictions go.
    """

    settings: Any
    label_config: str
    store: "Store"
    failures: str
    target: Any


def _project_work(stack: ExitStack, project: int, retry_seconds: float) -> Work:
    from pydantic import SecretStr

    from segstudio.bulk.project import ProjectPredictions
    from segstudio.bulk.stores import Folder
    from segstudio.bulk.worker import backend_settings
    from segstudio.label_studio import LabelStudio
    from segstudio.projects import find_access
    from segstudio.settings import ProjectSettings
    from segstudio.templates import image_key

    access = find_access(read_settings(ProjectSettings))
    label_studio = stack.enter_context(LabelStudio(access.url, access.token))
    config = label_studio.project(project).label_config

    def target(version: str) -> "tuple[Iterator[Item], Sink]":
        found = ProjectPredictions(label_studio, project, image_key(config), version, retry_seconds)
        return found.items(), found

    settings = backend_settings(
        label_studio_url=access.url, label_studio_api_key=SecretStr(access.token)
    )
    return Work(settings, config, Folder(Path()), f"project-{project}.failed.csv", target)


def _shard_work(order: Order) -> Work:
    from segstudio.bulk.shards import About, ShardFormat, Shards
    from segstudio.bulk.stores import open_store
    from segstudio.bulk.worker import backend_settings
    from segstudio.gcs import GoogleSettings
    from segstudio.templates import read_template

    config = read_template(order.template)
    store = open_store(order.out, read_settings(GoogleSettings))
    folder = Path(order.source) if order.source and not order.source.startswith("gs://") else None
    root = {"local_files_document_root": folder.absolute()} if folder else {}

    def target(version: str) -> "tuple[Iterator[Item], Sink]":
        about = About.of(version, config)
        return _items(order, config), Shards(store, ShardFormat(order.kind), about)

    return Work(backend_settings(**root), config, store, "failed.csv", target)


def _items(order: Order, config: str) -> "Iterator[Item]":
    from segstudio.bulk import sources
    from segstudio.bulk.stores import split_address
    from segstudio.gcs import GoogleObjects, GoogleSettings, connect
    from segstudio.tables import CsvTable
    from segstudio.tasks import TaskRule
    from segstudio.templates import image_key

    key = image_key(config)
    if order.manifest is not None:
        table = CsvTable(order.manifest)
        own = (order.image_column, order.identifier_column)
        more = tuple(name for name in table.columns if name not in own)
        rule = TaskRule(order.identifier_column, order.image_column, key, more)
        rule.check(table.columns)
        return sources.manifest_items(table, rule)
    source = str(order.source)
    if not source.startswith("gs://"):
        return sources.folder_items(Path(source), key)
    bucket, prefix = split_address(source)
    objects = GoogleObjects(connect(read_settings(GoogleSettings)), bucket)
    return sources.bucket_items(objects, bucket, prefix, key)


@dataclass(frozen=True)
class _Run:
    """One run, told on the way."""

    report: Report
    pipeline: "Pipeline"
    work: Work
    retry_failed: bool
    limit: int | None

    def look(self) -> Counter[str]:
        """Count what would be done."""
        model, _, items, tally, _ = self._plan()
        self._tell(model, tally, 0, would=len(items))
        return tally

    def go(self) -> Counter[str]:
        """Do it."""
        from segstudio.bulk.run import Writer

        model, sink, items, tally, failures = self._plan()
        begun = time.monotonic()
        with self.report.progress("images", len(items)) as advance:

            def each(outcome: "Outcome") -> None:
                advance()
                if outcome.not_embedded and not outcome.reason:
                    tally["not_embedded"] += 1
                    self.report.problem(
                        f"not prepared for clicks: {outcome.not_embedded}",
                        {
                            "not_embedded": outcome.not_embedded,
                            "image": outcome.item.reference[:200],
                        },
                    )
                if outcome.reason:
                    shown = outcome.item.meta.get(IDENTIFIER) or outcome.item.key
                    record = {"failed": outcome.reason, "image": outcome.item.reference[:200]}
                    self.report.problem(f"{shown}: {outcome.reason}", record)

            Writer(sink, failures, tally).write(self.pipeline.predict(items, model), each)
        self._tell(model, tally, time.monotonic() - begun)
        return tally

    def _plan(self) -> "tuple[Model, Sink, list[Item], Counter[str], Any]":
        from segstudio.bulk.failures import Failures
        from segstudio.bulk.run import first, left

        model = self.pipeline.model()
        items, sink = self.work.target(model.version)
        failures = Failures(self.work.store, self.work.failures, retry=self.retry_failed)
        tally: Counter[str] = Counter()
        return (
            model,
            sink,
            first(left(items, sink.done(), failures, tally), self.limit),
            tally,
            failures,
        )

    def _tell(
        self, model: "Model", tally: Counter[str], seconds: float, would: int | None = None
    ) -> None:
        count = {name: tally[name] for name in ("predicted", "failed", "present", "failed_before")}
        speed = round((tally["predicted"] + tally["failed"]) / max(seconds, 1e-3), 1)
        done = (
            f"{would} would be predicted"
            if would is not None
            else f"{count['predicted']} predicted"
        )
        self.report.say(
            f"{done}, {count['failed']} failed, {count['present']} there already, "
            f"{count['failed_before']} failed before ({speed} images/s) by {model.version}"
        )
        if tally["failed"] or tally["failed_before"]:
            self.report.say(
                f"{self.work.failures} has the reasons; --retry-failed takes them again"
            )
        self.report.outcome(
            {
                **count,
                "would_predict": would,
                "model_version": model.version,
                "seconds": round(seconds, 3),
                "items_per_second": speed,
                "dry_run": would is not None,
            }
        )
