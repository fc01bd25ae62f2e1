"""Labeling projects, one copy for each annotator: created once, found again, updated."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.labelstudio.client import UNIFORM, LabelStudio, NewProject, NewTask
from ml_backend.labelstudio.control_tasks import is_drawn
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.tables import Table
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.labelstudio.storages import connect_source
from segstudio.projects.sampling import SampleSize, sample
from segstudio.projects.tasks import TableSummary, TaskMapping, add_tasks, control_task, count_new

_TITLE = range(3, 51)
"""Length limits of a title in Label Studio."""


@dataclass(frozen=True)
class ProjectSpec:
    """Projects to create: copies with the same tasks.

    Attributes:
        title: Project title; with several copies, a number is appended.
        label_config: Label config as XML, with codes added.
        rule: Mapping of rows to tasks.
        share: Number of rows to use.
        seed: Seed of the sample of rows.
        control: Fraction of the tasks without suggestions, 0..1.
        copies: Number of projects.
        sampling: Order of the label stream, as Label Studio names it.
    """

    title: str
    label_config: str
    rule: TaskMapping
    share: SampleSize
    seed: int
    copies: int
    control: float = 0
    sampling: str = UNIFORM

    @property
    def titles(self) -> list[str]:
        """Return the titles of all copies.

        Raises:
            SettingsError: Label Studio would refuse a title.
        """
        copies = range(1, self.copies + 1)
        titles = [f"{self.title} #{n}" for n in copies] if self.copies > 1 else [self.title]
        for title in titles:
            if len(title) not in _TITLE:
                raise SettingsError(
                    f"the title {title!r} has {len(title)} characters",
                    "Label Studio takes 3 to 50, the copy's number included",
                )
        return titles

    def is_control(self, task: NewTask) -> bool:
        """Return whether a task is a control task, the same in all copies."""
        return is_drawn(task.meta[IDENTIFIER], self.control, self.seed)

    def mark(self, found: TableSummary) -> str:
        """Return the mark in the description of each copy, which identifies its options.

        If the project has all rows, rows added to the table later belong to it; if it has a sample,
        they would make another project.
        """
        rows = "" if self.share.is_all else f"{self.share.text} {self.seed} {found.digest}"
        control = [f"control {self.control} {self.seed}"] if self.control else []
        wanted = "\0".join([self.label_config, self.rule.mark, rows, *control])
        return f"[segstudio:{hashlib.sha256(wanted.encode()).hexdigest()[:16]}]"

    def description(self, found: TableSummary) -> str:
        """Return the human-readable description, including the mark."""
        size = self.share.of(found.rows)
        part = "" if self.share.is_all else f" of {found.rows}, chosen with seed {self.seed}"
        return f"Made by segstudio: {size} images{part}. {self.mark(found)}"


@dataclass(frozen=True)
class ProjectCopy:
    """One copy of a project.

    Attributes:
        id: Project ID; None if a dry run would create it.
        title: Project title.
        created: Whether it is new.
    """

    id: int | None
    title: str
    created: bool


@dataclass(frozen=True)
class ProjectBuilder:
    """Creates and fills the projects of a spec.

    Attributes:
        label_studio: Client for the Label Studio instance.
        spec: Projects to create.
        table: Table with all rows.
        found: Summary of the table.
        pair: Backends to connect; None: none.
        key: Key of the service account for ``gs://`` images; None without.
        dry_run: Whether to change nothing.
    """

    label_studio: LabelStudio
    spec: ProjectSpec
    table: Table
    found: TableSummary
    pair: BackendPair | None
    key: Mapping[str, str] | None = field(repr=False)
    dry_run: bool

    @property
    def size(self) -> int:
        """Number of tasks of each copy."""
        return self.spec.share.of(self.found.rows)

    def copies(self) -> list[ProjectCopy]:
        """Find or create the projects.

        Raises:
            LabelStudioError: An unrelated project has one of the titles; then none is created.
        """
        found = {title: self._find_project(title) for title in self.spec.titles}
        return [
            ProjectCopy(self._create_project(title) if id_ is None else id_, title, id_ is None)
            for title, id_ in found.items()
        ]

    def fill(self, project: int | None, advance: Callable[[], None]) -> tuple[int, int]:
        """Add missing tasks to a copy; return how many were added, and how many existed."""
        if self.dry_run:
            new = count_new(self.label_studio, project, self._tasks()) if project else self.size
            return new, self.size - new
        added = present = 0
        for new, old in add_tasks(self.label_studio, project or 0, self._tasks()):
            added, present = added + new, present + old
            for _ in range(new + old):
                advance()
        return added, present

    def connect(self, project: int) -> None:
        """Connect a copy to the buckets of its images, and to the backends.

        Call this after adding tasks: Label Studio notifies connected backends of new tasks.
        """
        for bucket in self.found.buckets if self.key else ():
            connect_source(self.label_studio, project, bucket, self.key or {})
        if self.pair:
            connect_backends(self.label_studio, project, self.pair)

    def _tasks(self) -> Iterator[NewTask]:
        spec = self.spec
        rows = sample(self.table, self.found.rows, self.size, spec.seed)
        tasks = (spec.rule.task(row) for row in rows)
        return (control_task(task) if spec.is_control(task) else task for task in tasks)

    def _find_project(self, title: str) -> int | None:
        same = list(self.label_studio.projects(title))
        for project in same:
            if self.spec.mark(self.found) in project.description:
                return project.id
        if same:
            raise LabelStudioError(
                f"there is a project {same[0].id} {title!r} already, with other options",
                "choose another --title, or repeat the options (template, columns, sample, seed, "
                "table) that it was created with",
            )
        return None

    def _create_project(self, title: str) -> int | None:
        if self.dry_run:
            return None
        description = self.spec.description(self.found)
        config = self.spec.label_config
        new = NewProject(title, config, description, self.spec.sampling)
        return self.label_studio.create_project(new)
