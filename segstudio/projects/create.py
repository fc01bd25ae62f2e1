"""A labeling project, one copy for each annotator: made once, found again, brought up to date."""

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
"""How long a title may be, says Label Studio."""


@dataclass(frozen=True)
class ProjectSpec:
    """Projects to make: copies with the same tasks.

    Attributes:
        title: Project title; with several copies, a number is appended.
        label_config: XML, codes added.
        rule: Mapping of rows to tasks.
        share: Number of rows that are used.
        seed: Seed of the sample of rows.
        control: Part of the tasks that gets no suggestions, 0..1.
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
        """Of all copies.

        Raises:
            SettingsError: Label Studio would refuse one.
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
        """Return whether a task is one of those without suggestions: the same in all copies."""
        return is_drawn(task.meta[IDENTIFIER], self.control, self.seed)

    def mark(self, found: TableSummary) -> str:
        """Stands in the description of each copy: a project with another mark is another one.

        Rows that are added to the table later belong to the same project if it has all rows, and
        to another one if it has a sample of them.
        """
        rows = "" if self.share.is_all else f"{self.share.text} {self.seed} {found.digest}"
        control = [f"control {self.control} {self.seed}"] if self.control else []
        wanted = "\0".join([self.label_config, repr(self.rule), rows, *control])
        return f"[segstudio:{hashlib.sha256(wanted.encode()).hexdigest()[:16]}]"

    def description(self, found: TableSummary) -> str:
        """For people, with the mark."""
        size = self.share.of(found.rows)
        part = "" if self.share.is_all else f" of {found.rows}, chosen with seed {self.seed}"
        return f"Made by segstudio: {size} images{part}. {self.mark(found)}"


@dataclass(frozen=True)
class ProjectCopy:
    """One project.

    Attributes:
        id: None where a dry run would make it.
        title: Of the project.
        created: Whether it is new.
    """

    id: int | None
    title: str
    created: bool


@dataclass(frozen=True)
class ProjectBuilder:
    """Makes and fills the projects of a spec.

    Attributes:
        label_studio: Where.
        spec: Projects to make.
        table: Of all rows.
        found: What was found in the table.
        pair: Backends to connect; None: none.
        key: Of the service account that shows ``gs://`` images; None: none is known.
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
        """How many tasks each copy has."""
        return self.spec.share.of(self.found.rows)

    def copies(self) -> list[ProjectCopy]:
        """Find or make the projects.

        Raises:
            LabelStudioError: There is another project of a title; then nothing is made.
        """
        found = {title: self._find_project(title) for title in self.spec.titles}
        return [
            ProjectCopy(self._create_project(title) if id_ is None else id_, title, id_ is None)
            for title, id_ in found.items()
        ]

    def fill(self, project: int | None, advance: Callable[[], None]) -> tuple[int, int]:
        """Add the tasks that a copy has not got; returns how many, and how many it had."""
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

        The tasks are there by then: Label Studio tells each backend of all that come later.
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
                f"there is a project {same[0].id} {title!r} already, made otherwise than this one",
                "choose another --title, or repeat the options (template, columns, sample, seed, "
                "table) that it was made with",
            )
        return None

    def _create_project(self, title: str) -> int | None:
        if self.dry_run:
            return None
        description = self.spec.description(self.found)
        config = self.spec.label_config
        new = NewProject(title, config, description, self.spec.sampling)
        return self.label_studio.create_project(new)
