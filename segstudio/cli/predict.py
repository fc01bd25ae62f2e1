"""``segstudio predict``: predictions for a whole project, manifest, bucket or folder beforehand."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from ml_backend.extras import require_extra
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import EXIT_SOME_FAILED, DryRunOption, JsonOption, Report, reporting
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.predict.shard_table import ShardFormat

if TYPE_CHECKING:
    from segstudio.gcs.store import Store
    from segstudio.predict.failures import Failures
    from segstudio.predict.items import Item, Outcome
    from segstudio.predict.job import Sink
    from segstudio.predict.pipeline import Pipeline
    from segstudio.predict.stages import Model, Settings


def predict(
    source: Annotated[
        str | None,
        typer.Argument(help="Images: gs://bucket/prefix (all whose names begin so), or a folder."),
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
        ShardFormat,
        typer.Option("--format", help="Of the shards; Label Studio itself reads jsonl."),
    ] = ShardFormat.JSONL,
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
        str,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="Of a Ray cluster that this machine is of; without: this machine alone.",
        ),
    ] = "",
    retry_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="How long a Label Studio that fails is asked again. If a call gets no answer, the "
            "first minute is spent on seeing whether it was done all the same.",
        ),
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
        require_extra("bulk")
        from segstudio.local.connection import settings_of_its_backends
        from segstudio.predict import cluster
        from segstudio.predict.pipeline import Pipeline
        from segstudio.predict.stages import sam_settings
        from segstudio.settings import ProjectSettings

        joined = settings_of_its_backends(read_settings(ProjectSettings))
        work = order.open(stack, retry_seconds)
        stack.enter_context(cluster.joined(ray_address))
        pipeline = Pipeline(
            work.settings,
            work.label_config,
            cluster.plan_pool(workers, models=2 if embed else 1),
            sam=sam_settings(**joined) if embed else None,
        )
        run = _Run.plan(report, pipeline, work, retry_failed, limit)
        if dry_run:
            run.look()
        else:
            run.go()
    if run.tally["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)


@dataclass(frozen=True)
class Order:
    """What is to be predicted and where predictions go; see ``predict``."""

    source: str | None
    project: int | None
    manifest: Path | None
    out: str
    kind: ShardFormat
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
        target: Gives, for a model's version, the items and where their predictions go.
    """

    settings: "Settings"
    label_config: str
    store: "Store"
    failures: str
    target: "Callable[[str], tuple[Iterator[Item], Sink]]"


def _project_work(stack: ExitStack, project: int, retry_seconds: float) -> Work:
    from pydantic import SecretStr

    from segstudio.gcs.store import Folder
    from segstudio.labelstudio.client import LabelStudio
    from segstudio.local.connection import resolve_connection
    from segstudio.predict.project_sink import ProjectSink
    from segstudio.predict.stages import backend_settings
    from segstudio.projects.templates import image_key
    from segstudio.settings import ProjectSettings

    access = resolve_connection(read_settings(ProjectSettings))
    label_studio = stack.enter_context(LabelStudio(access.url, access.token))
    config = label_studio.project(project).label_config

    def target(version: str) -> "tuple[Iterator[Item], Sink]":
        found = ProjectSink(label_studio, project, image_key(config), version, retry_seconds)
        return found.items(), found

    settings = backend_settings(
        label_studio_url=access.url, label_studio_api_key=SecretStr(access.token)
    )
    return Work(settings, config, Folder(Path()), f"project-{project}.failed.csv", target)


def _shard_work(order: Order) -> Work:
    from segstudio.gcs.client import GoogleSettings
    from segstudio.gcs.store import open_store
    from segstudio.predict.shard_sink import About, ShardSink
    from segstudio.predict.stages import backend_settings
    from segstudio.projects.templates import read_template

    config = read_template(order.template)
    store = open_store(order.out, read_settings(GoogleSettings))
    folder = Path(order.source) if order.source and not order.source.startswith("gs://") else None
    root = {"local_files_document_root": folder.absolute()} if folder else {}
    items = _items(order, config)

    def target(version: str) -> "tuple[Iterator[Item], Sink]":
        about = About.of(version, config)
        return items, ShardSink(store, order.kind, about)

    return Work(backend_settings(**root), config, store, "failed.csv", target)


def _items(order: Order, config: str) -> "Iterator[Item]":
    from segstudio.data.tables import CsvTable
    from segstudio.gcs.client import GoogleObjects, GoogleSettings, connect
    from segstudio.gcs.store import split_address
    from segstudio.predict import sources
    from segstudio.projects.tasks import TaskMapping, summarize
    from segstudio.projects.templates import image_key

    key = image_key(config)
    if order.manifest is not None:
        table = CsvTable(order.manifest)
        own = (order.image_column, order.identifier_column)
        more = tuple(name for name in table.columns if name not in own)
        rule = TaskMapping(order.identifier_column, order.image_column, key, more)
        rule.check(table.columns)
        summarize(table, rule)
        return sources.manifest_items(table, rule)
    source = str(order.source)
    if not source.startswith("gs://"):
        return sources.folder_items(Path(source), key)
    bucket, prefix = split_address(source)
    objects = GoogleObjects(connect(read_settings(GoogleSettings)), bucket)
    return sources.bucket_items(objects, bucket, prefix, key)


@dataclass(frozen=True)
class _Run:
    """One run, told on the way.

    Attributes:
        report: Where it is told.
        pipeline: Makes predictions.
        model: Its model.
        failures: The table of failures.
        table: Where that is, for people.
        sink: Where predictions go.
        items: That are left to do.
        tally: Counts what came of all of them.
    """

    report: Report
    pipeline: "Pipeline"
    model: "Model"
    failures: "Failures"
    table: str
    sink: "Sink"
    items: "list[Item]"
    tally: Counter[str]

    @classmethod
    def plan(
        cls,
        report: Report,
        pipeline: "Pipeline",
        work: Work,
        retry_failed: bool,
        limit: int | None,
    ) -> Self:
        """See what is there and what is left."""
        from segstudio.predict.failures import Failures
        from segstudio.predict.job import pending_items

        model = pipeline.model()
        items, sink = work.target(model.version)
        failures = Failures(work.store, work.failures, retry=retry_failed)
        tally: Counter[str] = Counter()
        todo = list(islice(pending_items(items, sink.done(), failures, tally), limit))
        return cls(report, pipeline, model, failures, work.failures, sink, todo, tally)

    def look(self) -> None:
        """Tell what would be done."""
        self._tell(f"{len(self.items)} would be predicted", 0, len(self.items))

    def go(self) -> None:
        """Do it."""
        from segstudio.predict.job import Writer

        begun = time.monotonic()
        with self.report.progress("images", len(self.items)) as advance:

            def each(outcome: "Outcome") -> None:
                advance()
                if outcome.reason:
                    shown = outcome.item.meta.get(IDENTIFIER) or f"task {outcome.item.task}"
                    record = {"failed": outcome.reason, "image": outcome.item.reference[:200]}
                    self.report.error(f"{shown}: {outcome.reason}", record)

            outcomes = self.pipeline.predict(self.items, self.model)
            Writer(self.sink, self.failures, self.tally).write(outcomes, each)
        self._tell(f"{self.tally['predicted']} predicted", time.monotonic() - begun, None)

    def _tell(self, done: str, seconds: float, would: int | None) -> None:
        tally = self.tally
        count = {name: tally[name] for name in ("predicted", "failed", "present", "failed_before")}
        speed = round((tally["predicted"] + tally["failed"]) / max(seconds, 1e-3), 1)
        self.report.print(
            f"{done}, {count['failed']} failed, {count['present']} there already, "
            f"{count['failed_before']} failed before ({speed} images/s) by {self.model.version}"
        )
        if tally["failed"] or tally["failed_before"]:
            self.report.print(f"{self.table} has the reasons; --retry-failed takes them again")
        self.report.result(
            {
                **count,
                "would_predict": would,
                "model_version": self.model.version,
                "seconds": round(seconds, 3),
                "items_per_second": speed,
                "dry_run": would is not None,
            }
        )
