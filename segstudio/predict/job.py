"""Bulk prediction from end to end: open source and target, predict and write what is missing."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from ml_backend.errors import SettingsError
from ml_backend.images import NO_TASK, TaskAccess
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.shown_version import LEARNED_PREFIX
from ml_backend.serving.settings import read_settings
from segstudio.data.scratch_db import NameIndex
from segstudio.data.store import Folder, Store, open_store
from segstudio.gcs.client import GoogleSettings
from segstudio.local.connection import resolve_connection, settings_of_its_backends
from segstudio.predict import cluster
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome
from segstudio.predict.pipeline import Pipeline
from segstudio.predict.project_sink import ProjectSink
from segstudio.predict.shard_sink import About, ShardSink
from segstudio.predict.shard_table import ShardFormat
from segstudio.predict.sources import ImagesSpec, open_items
from segstudio.predict.stages import Model, Settings, backend_settings, sam_settings
from segstudio.projects.templates import read_template, task_fields
from segstudio.settings import ProjectSettings

_FLUSH_SECONDS = 60


class Sink(Protocol):
    """Target of predictions."""

    size: int
    """Number of predictions in a batch."""

    def done(self) -> Iterator[str]:
        """Yield the keys of the items that have predictions."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write a batch of predictions atomically."""


@dataclass(frozen=True)
class ShardsSpec:
    """Images to predict into shards.

    Attributes:
        images: Images to predict.
        out: Folder or ``gs://bucket/prefix`` for the shards and the table of failures.
        kind: Format of the shards.
        template: Label config as a file or the name of a template.
    """

    images: ImagesSpec
    out: str
    kind: ShardFormat
    template: str


@dataclass(frozen=True)
class ProjectTasksSpec:
    """A project whose tasks are predicted into the project.

    Attributes:
        project: Project ID.
        retry_seconds: Seconds to retry a Label Studio that fails.
    """

    project: int
    retry_seconds: float


@dataclass(frozen=True)
class RunOptions:
    """Options of a run.

    Attributes:
        embed: Whether the sam backend's embeddings are precomputed, too.
        limit: Largest number of images to predict; None: all.
        retry_failed: Whether images in the table of failures are retried.
        workers: Number of processes that hold the model; 0: as many as fit.
        ray_address: Address of a Ray cluster; empty: this machine only.
    """

    embed: bool = False
    limit: int | None = None
    retry_failed: bool = False
    workers: int = 0
    ray_address: str = ""


@contextmanager
def open_job(spec: ShardsSpec | ProjectTasksSpec, options: RunOptions) -> Iterator["Job"]:
    """Open the source, the target and Ray, load the model once, and yield the planned job.

    Raises:
        SegstudioError: Source, target, Ray or model is unusable; also raised from the body.
    """
    with ExitStack() as stack:
        of_local_backends = settings_of_its_backends(read_settings(ProjectSettings))
        target = (
            _open_project(stack, spec) if isinstance(spec, ProjectTasksSpec) else _open_shards(spec)
        )
        stack.enter_context(cluster.joined(options.ray_address))
        pipeline = Pipeline(
            target.settings,
            target.label_config,
            cluster.plan_pool(options.workers, models=2 if options.embed else 1),
            sam=sam_settings(**of_local_backends) if options.embed else None,
            access=target.access,
        )
        yield _plan_job(target, pipeline, options)


@dataclass(frozen=True)
class Job:
    """A planned run.

    Attributes:
        pipeline: Pipeline that makes the predictions.
        model: Model of the pipeline.
        sink: Target of the predictions.
        failures: Table of failures.
        failures_name: File name of that table.
        items: Items to predict.
        tally: Counters ``predicted``, ``failed``, ``present`` and ``failed_before``.
    """

    pipeline: Pipeline
    model: Model
    sink: Sink
    failures: Failures
    failures_name: str
    items: Sequence[Item]
    tally: Counter[str]

    def run(self, report_outcome: Callable[[Outcome], None]) -> None:
        """Predict and write all items, and report each outcome at once."""
        outcomes = self.pipeline.predict(self.items, self.model)
        Writer(self.sink, self.failures, self.tally).write(outcomes, report_outcome)


@dataclass(frozen=True)
class _Target:
    """Opened source and target.

    Attributes:
        settings: Settings of the segmentation backend.
        label_config: Label config as XML.
        store: Storage of the table of failures.
        failures_name: File name of that table.
        open: Returns, for a model version, the items and the sink.
        access: Project of the tasks, and the login for their images.
    """

    settings: Settings
    label_config: str
    store: Store
    failures_name: str
    open: Callable[[str], tuple[Iterator[Item], Sink]]
    access: TaskAccess = NO_TASK


def _open_project(stack: ExitStack, spec: ProjectTasksSpec) -> _Target:
    access = resolve_connection(read_settings(ProjectSettings))
    label_studio = stack.enter_context(LabelStudio(access.url, access.token))
    _refuse_learned(label_studio, spec.project)
    project = label_studio.project(spec.project)
    config = project.label_config

    def open_sink(version: str) -> tuple[Iterator[Item], Sink]:
        parsed = parse_label_config(config)
        sink = ProjectSink(label_studio, spec.project, parsed, version, spec.retry_seconds)
        return sink.items(), sink

    settings = backend_settings(
        label_studio_url=access.url, label_studio_api_key=SecretStr(access.token)
    )
    return _Target(
        settings,
        config,
        Folder(Path()),
        f"project-{spec.project}.failed.csv",
        open_sink,
        TaskAccess(project=project.id, login=project.login),
    )


def _refuse_learned(label_studio: LabelStudio, project: int) -> None:
    """Refuse a project that has learned its own labels: the learner predicts it."""
    for connection in label_studio.connections(project).values():
        if connection.answer.startswith(LEARNED_PREFIX):
            raise SettingsError(
                f"project {project} is served by {connection.answer}, which is not the model of "
                "bulk predictions",
                "its tasks get predictions from the learner; segstudio learn --project "
                f"{project} writes them now",
            )


def _open_shards(spec: ShardsSpec) -> _Target:
    config = read_template(spec.template)
    store = open_store(spec.out, read_settings(GoogleSettings))
    folder = spec.images.folder
    root = {"local_files_document_root": folder.absolute()} if folder else {}
    items = open_items(spec.images, task_fields(config))

    def open_sink(version: str) -> tuple[Iterator[Item], Sink]:
        return items, ShardSink(store, spec.kind, About.of(version, config))

    return _Target(backend_settings(**root), config, store, "failed.csv", open_sink)


def _plan_job(target: _Target, pipeline: Pipeline, options: RunOptions) -> Job:
    model = pipeline.model()
    items, sink = target.open(model.version)
    failures = Failures(target.store, target.failures_name, retry=options.retry_failed)
    tally: Counter[str] = Counter()
    pending = pending_items(items, sink.done(), failures, tally)
    todo = list(islice(pending, options.limit))
    return Job(pipeline, model, sink, failures, target.failures_name, todo, tally)


def pending_items(
    items: Iterable[Item], done: Iterable[str], failures: Failures, tally: Counter[str]
) -> Iterator[Item]:
    """Yield each item once that is neither done nor failed; count the others in ``tally``."""
    with NameIndex() as index:
        for key in done:
            index.claim(key, 0)
        for key in failures.known:
            index.claim(key, -1)
        for number, item in enumerate(items, start=1):
            first = index.claim(item.key, number)
            if first == number:
                yield item
            else:
                tally["failed_before" if first == -1 else "present"] += 1


@dataclass
class Writer:
    """Writer of outcomes in batches; the last batch is written even after an error.

    Attributes:
        sink: Target of predictions.
        failures: Table of failures.
        tally: Counters ``predicted`` and ``failed``.
    """

    sink: Sink
    failures: Failures
    tally: Counter[str]
    _waiting: list[Outcome] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def write(self, outcomes: Iterable[Outcome], report_outcome: Callable[[Outcome], None]) -> None:
        """Write all outcomes, and report each before it is written."""
        try:
            for outcome in outcomes:
                self._waiting.append(outcome)
                report_outcome(outcome)
                if self._is_due():
                    self._flush()
        finally:
            self._flush()

    def _is_due(self) -> bool:
        late = time.monotonic() - self._since > _FLUSH_SECONDS
        return late or len(self._waiting) >= self.sink.size

    def _flush(self) -> None:
        # The batch being written is no longer pending: if that fails, it is not written again.
        portion, self._waiting = self._waiting, []
        predicted = [outcome for outcome in portion if outcome.prediction is not None]
        if predicted:
            self.sink.write(predicted)
        self.failures.note(portion)
        self.tally.update(predicted=len(predicted), failed=len(portion) - len(predicted))
        self._since = time.monotonic()
