"""One row for each annotation, keyed by identifier and annotator."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ml_backend.labelstudio.annotations import AnnotatedTask, Annotation, LabeledProject
from ml_backend.labelstudio.label_config import Control
from segstudio.export.manifest_join import Manifest
from segstudio.export.references import unsigned
from segstudio.export.timed import is_timed, timed_answers

Kind = Literal["text", "number", "integer", "flag", "time", "list", "parts"]
Value = str | float | int | bool | datetime | list[str] | list[dict[str, Any]] | None

_KEY: tuple[tuple[str, Kind], ...] = (("identifier", "text"), ("annotator", "text"))
_REST: tuple[tuple[str, Kind], ...] = (
    ("image", "text"),
    ("project", "integer"),
    ("task", "integer"),
    ("annotation", "integer"),
    ("skipped", "flag"),
    ("created_at", "time"),
    ("updated_at", "time"),
    ("lead_time", "number"),
)
RESERVED = ("data", "meta", "result", "mask_path", "width", "height", "overlap_pixels", "left_out")
"""Value type that only some formats have."""

_WITHOUT_ANSWER = frozenset(
    {"brush", "polygon", "rectangle", "ellipse", "keypoint", "magicwand", "bitmask", "vector"}
)
_NUMBERS = frozenset({"number", "rating"})


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        name: Unique name of the column.
        kind: Type of its values.
        source: Name of the control, or of the manifest's column, that it contains.
    """

    name: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Columns:
    """Columns of a table: key, answers, manifest, Label Studio's metadata."""

    controls: tuple[Column, ...]
    manifest: tuple[Column, ...]

    @classmethod
    def of(cls, projects: Iterable[LabeledProject], manifest: Sequence[str]) -> "Columns":
        """Return the columns for the controls of all projects and for the manifest.

        A name that is taken is prefixed by ``control.`` or ``manifest.``.
        """
        taken = {name for name, _ in (*_KEY, *_REST)} | set(RESERVED)
        controls: dict[str, Kind] = {}
        for project in projects:
            for control in project.controls:
                if control.type not in _WITHOUT_ANSWER:
                    kind: Kind = "parts" if is_timed(control, project) else _kind(control)
                    same = controls.setdefault(control.name, kind) == kind
                    controls[control.name] = kind if same else "list"
        return cls(
            tuple(Column(_free(n, "control", taken), k, n) for n, k in controls.items()),
            tuple(Column(_free(n, "manifest", taken), "text", n) for n in manifest),
        )

    def __iter__(self) -> Iterator[Column]:
        """Yield the columns in the order of the table."""
        yield from (Column(name, kind, name) for name, kind in _KEY)
        yield from self.controls
        yield from self.manifest
        yield from (Column(name, kind, name) for name, kind in _REST)


@dataclass(frozen=True)
class Entry:
    """An annotation with its identifier and row.

    Attributes:
        identifier: Identifier of the image.
        task: Task of the annotation.
        annotation: Annotation itself.
        metadata: Cells of the manifest's row, if there is one.
        row: Values by column name, in the order of the table.
    """

    identifier: str
    task: AnnotatedTask
    annotation: Annotation
    metadata: Mapping[str, str] | None
    row: Mapping[str, Value]


@dataclass(frozen=True)
class Problem:
    """Part of an annotation that cannot be exported; ``region`` is a region ID, or empty."""

    entry: Entry
    reason: str
    region: str = ""

    @property
    def text(self) -> str:
        """Human-readable description."""
        entry = self.entry
        region = f", region {self.region}" if self.region else ""
        return (
            f"{entry.identifier}: {self.reason} (project {entry.task.project.id}, "
            f"task {entry.task.id}, annotation {entry.annotation.id}{region})"
        )

    @property
    def record(self) -> dict[str, Any]:
        """Machine-readable record."""
        return {
            "failed": self.reason,
            "identifier": self.entry.identifier,
            "project": self.entry.task.project.id,
            "task": self.entry.task.id,
            "annotation": self.entry.annotation.id,
            "region": self.region or None,
        }


def entries(task: AnnotatedTask, columns: Columns, manifest: Manifest) -> list[Entry]:
    """Return an entry for each annotation of a task; none if it has no annotation."""
    identifier, metadata = manifest.find(task)
    return [
        Entry(identifier, task, each, metadata, _row(identifier, task, each, metadata, columns))
        for each in task.annotations
    ]


def unknown_answers(entry: Entry, columns: Columns) -> list[str]:
    """Return the names of answered controls that are no longer in the label config."""
    known = {column.source for column in columns.controls}
    return [name for name in entry.annotation.parsed.answers if name not in known]


def cell(value: Value) -> str:
    """Return a value as text for CSV: lists as JSON, times as ISO 8601."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _row(
    identifier: str,
    task: AnnotatedTask,
    annotation: Annotation,
    metadata: Mapping[str, str] | None,
    columns: Columns,
) -> dict[str, Value]:
    answers = annotation.parsed.answers
    return {
        "identifier": identifier,
        "annotator": annotation.annotator,
        **{
            each.name: timed_answers(annotation.result, each.source)
            if each.kind == "parts"
            else _answer(answers.get(each.source, []), each.kind)
            for each in columns.controls
        },
        **{each.name: (metadata or {}).get(each.source) for each in columns.manifest},
        "image": unsigned(task.image),
        "project": task.project.id,
        "task": task.id,
        "annotation": annotation.id,
        "skipped": annotation.skipped,
        "created_at": annotation.created_at,
        "updated_at": annotation.updated_at,
        "lead_time": annotation.lead_time,
    }


def _kind(control: Control) -> Kind:
    if control.type in _NUMBERS:
        return "number"
    return "list" if control.multiple else "text"


def _answer(values: Sequence[Any], kind: Kind) -> Value:
    if kind == "number":
        return next((float(v) for v in values if _is_number(v)), None)
    texts = [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
    if kind == "list":
        return texts
    return texts[0] if len(texts) == 1 else cell(texts) or None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _free(name: str, prefix: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{prefix}.{name}"
    taken.add(name)
    return name
