"""Tables become tasks: what is refused before anything is made, and what a large one takes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segstudio.data.tables import CsvTable, TableError
from segstudio.labelstudio.client import LabelStudio
from segstudio.projects.create import ProjectBuilder, ProjectSpec
from segstudio.projects.sampling import SampleSize
from segstudio.projects.tasks import TaskMapping, summarize
from tests.support.json_server import Asked, JsonServer

RULE = TaskMapping("ID", "Image", "image", ("Name",))


def table(folder: Path, *rows: str) -> CsvTable:
    path = folder / "posts.csv"
    path.write_text("\n".join(["ID,Name,Image", *rows]))
    return CsvTable(path)


def test_a_survey_counts_rows_and_finds_the_buckets(tmp_path: Path) -> None:
    rows = ("1,a,gs://one/x.jpg", "2,b,gs://two/y z.jpg", "3,c,https://h/i.jpg", "4,d,gs://one/z")
    found = summarize(table(tmp_path, *rows), RULE)
    assert (found.rows, found.buckets) == (4, ("one", "two"))


def test_another_table_has_another_digest(tmp_path: Path) -> None:
    digests = {
        summarize(table(tmp_path, *rows), RULE).digest
        for rows in (["1,a,x"], ["1,b,x"], ["1,a,y"], ["1,a,x", "2,a,x"], ["2,a,x", "1,a,x"])
    }
    assert len(digests) == 4  # a name is neither identifier nor image


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "no rows"),
        (["1,a,x", " ,b,y"], "row 2 has nothing in 'ID'"),
        (["1,a,"], "row 1 has nothing in 'Image'"),
        (["1,a,x", "2,b,y", "1,c,z"], "rows 1 and 3 have the same 'ID', '1'"),
    ],
)
def test_rows_that_cannot_be_tasks_are_named(rows: list[str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=problem):
        summarize(table(tmp_path, *rows), RULE)


def test_columns_that_are_missing_are_named_beside_those_that_are_there() -> None:
    with pytest.raises(TableError, match="no column 'ID', 'Name'") as caught:
        RULE.check(("Id", "Image"))
    assert "Id, Image" in caught.value.hint


def test_a_column_may_not_hide_the_image() -> None:
    with pytest.raises(TableError, match=r"\$image") as caught:
        TaskMapping("ID", "Image", "image", ("image",)).check(("ID", "Image", "image"))
    assert "--" not in caught.value.hint, "not every command with such a table has the same options"


class _Sink(JsonServer):
    """Takes tasks as Label Studio 1.23.2 does, and keeps their identifiers alone.

    Attributes:
        identifiers: Of task 1 and those after it; empty: it was deleted.
        deleted: Number of a task that somebody deletes as soon as a page is read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.identifiers: list[str] = []
        self.portions: list[int] = []
        self.deleted = 0
        self.fails_after: int | None = None

    def reply(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "GET":
            there = self.after(asked.query)
            if self.deleted:
                self.identifiers[self.deleted - 1] = ""
            size = int(asked.query["page_size"])
            return 200, {"tasks": there[:size], "total": len(there)}
        if self.fails_after == len(self.portions):
            return 500, {"detail": "the disk is full"}
        self.portions.append(len(asked.body))
        self.identifiers += [task["meta"]["identifier"] for task in asked.body]
        return 201, {}

    def after(self, query: dict[str, str]) -> list[dict[str, Any]]:
        (later,) = json.loads(query["query"])["filters"]["items"]
        assert (later["filter"], later["operator"]) == ("filter:tasks:id", "greater")
        named = enumerate(self.identifiers[later["value"] :], later["value"] + 1)
        return [{"id": n, "meta": {"identifier": name}} for n, name in named if name]


@pytest.fixture
def sink() -> Iterator[_Sink]:
    sink = _Sink()
    yield sink
    sink.stop()


def creation(label_studio: LabelStudio, rows: CsvTable) -> ProjectBuilder:
    order = ProjectSpec("Many", "<View/>", RULE, SampleSize.parse("100%"), 1, 1)
    return ProjectBuilder(label_studio, order, rows, summarize(rows, RULE), None, None, False)


def fill(url: str, rows: CsvTable) -> tuple[int, int]:
    with LabelStudio(url, "0" * 40) as label_studio:
        return creation(label_studio, rows).fill(1, lambda: None)


FILL = """
import sys
from pathlib import Path
from segstudio.data.tables import CsvTable
from tests.unit.segstudio.projects.test_tasks import fill
fill(sys.argv[1], CsvTable(Path(sys.argv[2])))
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def test_a_hundred_thousand_rows_are_streamed_with_flat_memory(tmp_path: Path, sink: _Sink) -> None:
    peaks = []
    for size in (2_000, 100_000):
        sink.identifiers.clear()
        table(tmp_path, *(f"{n},{'x' * 100},gs://one/{n}.jpg" for n in range(size)))
        words = [sys.executable, "-c", FILL, sink.url, str(tmp_path / "posts.csv")]
        run = subprocess.run(words, capture_output=True, check=True)
        peaks.append(int(run.stdout))
        assert len(sink.identifiers) == size
    assert max(sink.portions) == 500
    assert (
        peaks[1] - peaks[0] < 10_000
    )  # KiB; the rows alone are 20 MB as text, far more as objects


def test_a_second_run_goes_on_where_the_first_was_refused(tmp_path: Path, sink: _Sink) -> None:
    rows = table(tmp_path, *(f"{n},a,gs://one/{n}.jpg" for n in range(2_300)))
    sink.fails_after = 3
    with pytest.raises(Exception, match="the disk is full"):
        fill(sink.url, rows)
    sink.fails_after = None
    assert fill(sink.url, rows) == (800, 1_500)
    assert fill(sink.url, rows) == (0, 2_300)
    assert sink.identifiers == [str(n) for n in range(2_300)]


def test_a_task_that_is_deleted_meanwhile_makes_none_of_the_others_come_twice(
    tmp_path: Path, sink: _Sink
) -> None:
    rows = table(tmp_path, *(f"{n},a,gs://one/{n}.jpg" for n in range(1_500)))
    fill(sink.url, rows)
    sink.deleted = 1
    assert fill(sink.url, rows) == (0, 1_500)
