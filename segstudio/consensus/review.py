"""A review project: merged annotations as predictions, so that a reviewer corrects them.

A project is found again by its title and a mark in its description, a task by ``meta.identifier``.
A task's ``meta`` contains the digest of its consensus: unchanged tasks and those annotated by a
reviewer are not modified.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio, NewProject, NewTask
from ml_backend.labelstudio.control_tasks import CONTROL
from ml_backend.labelstudio.label_config import Control, LabelConfig, parse_label_config
from ml_backend.labelstudio.mask_regions import mask_regions
from segstudio.consensus.votes import Consensus, MergedPicture
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.scratch_db import ScratchDatabase

State = Literal["created", "updated", "unchanged", "reviewed"]

_DIGEST = "segstudio_consensus"
"""Key in the ``meta`` of a task for the digest of its consensus."""

_PORTION = 50


@dataclass(frozen=True)
class Reviewed:
    """Result of writing a consensus; ``lost`` are labels without a control in the project."""

    consensus: Consensus
    state: State
    lost: Sequence[str]


class _Existing(ScratchDatabase):
    """Tasks in the review project, by identifier."""

    schema = """
        CREATE TABLE tasks (
            identifier TEXT PRIMARY KEY, id INTEGER NOT NULL, digest TEXT, annotated INTEGER
        ) WITHOUT ROWID
    """

    def add(self, task: dict[str, Any]) -> None:
        meta = task["meta"] or {}
        row = (str(meta.get(IDENTIFIER, "")), task["id"], str(meta.get(_DIGEST, "")))
        annotated = bool(task.get("total_annotations") or task.get("cancelled_annotations"))
        self._database.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?)", (*row, annotated))

    def find(self, identifier: str) -> tuple[int, str, bool] | None:
        row = self._database.execute(
            "SELECT id, digest, annotated FROM tasks WHERE identifier = ?", (identifier,)
        ).fetchone()
        return (row[0], row[1], bool(row[2])) if row else None


@dataclass
class ReviewProject:
    """Writer of consensus into the project of a title.

    Attributes:
        label_studio: Client for the Label Studio instance.
        title: Project title.
        label_config: Label config of the annotated projects, as XML.
        version: Model version of the predictions.
        sources: IDs of the annotated projects.
        dry_run: Whether to change nothing.
        id: Project ID; None if a dry run would create it.
        tally: Number of images by state.
    """

    label_studio: LabelStudio
    title: str
    label_config: str
    version: str
    sources: Sequence[int]
    dry_run: bool
    id: int | None = None
    tally: Counter[str] = field(default_factory=Counter)

    def open(self) -> bool:
        """Find or create the project; return whether it is new.

        Raises:
            LabelStudioError: There is an unrelated project with this title.
        """
        same = list(self.label_studio.projects(self.title))
        for project in same:
            if self._mark in project.description:
                self.id = project.id
                return False
        if same:
            raise LabelStudioError(
                f"there is a project {same[0].id} {self.title!r} already, with other options",
                "choose another --title, or use the same options as when it was created",
            )
        if not self.dry_run:
            ids = ", ".join(map(str, self.sources))
            description = f"Consensus of projects {ids}, by segstudio. {self._mark}"
            new = NewProject(self.title, self.label_config, description)
            self.id = self.label_studio.create_project(new)
        return True

    def write(self, found: Iterator[Consensus]) -> Iterator[Reviewed]:
        """Write each consensus, and yield the results."""
        with _Existing() as existing:
            include = "id,meta,total_annotations,cancelled_annotations"
            for task in self.label_studio.tasks(self.id, include) if self.id else ():
                existing.add(task)
            while portion := list(islice(found, _PORTION)):
                yield from self._write(portion, existing)
        if self.id and not self.dry_run and self.tally["created"] + self.tally["updated"]:
            self._show_most_disputed_first()

    @property
    def _mark(self) -> str:
        wanted = f"{sorted(self.sources)} {self.version} {self.label_config}"
        return f"[segstudio:consensus:{hashlib.sha256(wanted.encode()).hexdigest()[:16]}]"

    def _write(self, portion: Sequence[Consensus], existing: _Existing) -> Iterator[Reviewed]:
        config, new = parse_label_config(self.label_config), []
        for consensus in portion:
            result, lost = _result(consensus, config)
            task, state = existing.find(consensus.identifier), _state(consensus, existing)
            if state == "created":
                new.append(self._task(consensus, result))
            elif state == "updated" and self.id and task and not self.dry_run:
                self._update(self.id, task[0], consensus, result)
            self.tally[state] += 1
            yield Reviewed(consensus, state, lost)
        if new and self.id and not self.dry_run:
            self.label_studio.create_tasks(self.id, new)

    def _task(self, consensus: Consensus, result: Sequence[dict[str, Any]]) -> NewTask:
        return NewTask(_data(consensus), _meta(consensus), [self._prediction(consensus, result)])

    def _prediction(self, consensus: Consensus, result: Sequence[dict[str, Any]]) -> dict[str, Any]:
        score = 1 - consensus.disagreement
        return {"model_version": self.version, "score": score, "result": list(result)}

    def _update(
        self, project: int, task: int, consensus: Consensus, result: Sequence[dict[str, Any]]
    ) -> None:
        """Replace a task's prediction, then its digest, so that an interrupted run is repeated."""
        call = self.label_studio.call
        for prediction in call("GET", "/api/predictions", params={"task": task}):
            call("DELETE", f"/api/predictions/{prediction['id']}/")
        prediction = {"task": task, **self._prediction(consensus, result)}
        self.label_studio.import_predictions(project, [prediction])
        changed = {"data": _data(consensus), "meta": _meta(consensus)}
        call("PATCH", f"/api/tasks/{task}/", json=changed)

    def _show_most_disputed_first(self) -> None:
        """Order the label stream by the predictions' scores, the lowest first."""
        body = {
            "sampling": "Uncertainty sampling",
            "show_collab_predictions": True,
            "model_version": self.version,
        }
        self.label_studio.call("PATCH", f"/api/projects/{self.id}", json=body)


def _state(consensus: Consensus, existing: _Existing) -> State:
    found = existing.find(consensus.identifier)
    if found is None:
        return "created"
    _, digest, annotated = found
    if annotated:
        return "reviewed"
    return "unchanged" if digest == consensus.digest else "updated"


def _data(consensus: Consensus) -> dict[str, Any]:
    """Return the task's data, with a column for sorting in Label Studio."""
    return {**consensus.data, "disagreement": f"{consensus.disagreement:.3f}"}


def _meta(consensus: Consensus) -> dict[str, Any]:
    kept = {name: value for name, value in consensus.meta.items() if name != CONTROL}
    return {
        **kept,
        IDENTIFIER: consensus.identifier,
        _DIGEST: consensus.digest,
        "disagreement_on": consensus.worst,
    }


def _result(
    consensus: Consensus, config: LabelConfig
) -> tuple[list[dict[str, Any]], Sequence[str]]:
    """Return the regions and answers, and the labels without a control."""
    result: list[dict[str, Any]] = []
    lost: list[str] = []
    for merged in consensus.pictures:
        for region, label in _regions(merged, consensus.disagreement, config):
            if region is None:
                lost.append(label)
            else:
                result.append(region)
    targets = {control.name: control.to_name for control in config.controls}
    for name, chosen in consensus.answers.items():
        result.append(
            {
                "from_name": name,
                "to_name": targets.get(name, ""),
                "type": "choices",
                "value": {"choices": list(chosen)},
            }
        )
    return result, lost


def _regions(
    merged: MergedPicture, disagreement: float, config: LabelConfig
) -> Iterator[tuple[dict[str, Any] | None, str]]:
    controls = config.mask_controls(merged.picture.tag)
    page = {"item_index": merged.picture.item} if merged.picture.item else {}
    for label, rle in merged.masks.items():
        control = _control(controls, label)
        if control is None:
            yield None, label
            continue
        for region in mask_regions(rle.mask, control, label, 1 - disagreement):
            yield region.model_dump(exclude_none=True) | page, label


def _control(controls: Sequence[Control], label: str) -> Control | None:
    return next((c for c in controls if label in {each.value for each in c.labels}), None)
