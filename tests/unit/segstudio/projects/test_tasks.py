"""Tables become tasks: what is refused before anything is made, and what a large one takes."""

from pathlib import Path

import pytest

from ml_backend.labelstudio.client import LabelStudio
from segstudio.data.tables import CsvTable, TableError
from segstudio.projects.create import ProjectBuilder, ProjectSpec
from segstudio.projects.sampling import SampleSize
from segstudio.projects.tasks import TaskMapping, summarize
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import TOKEN, FakeProject, LabelStudioServer, refusal

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
        (["1,a,x", " ,b,y"], "row 2 has no value in 'ID'"),
        (["1,a,"], "row 1 has no value in 'Image'"),
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


def test_an_image_at_a_path_and_pages_are_where_the_template_looks(tmp_path: Path) -> None:
    rows = table(tmp_path, "1,a,gs://one/a.jpg|gs://two/b.jpg")
    (row,) = rows
    nested = TaskMapping("ID", "Image", "photo.url", ("Name",)).task(row)
    assert nested.data == {"ID": "1", "Name": "a", "photo": {"url": row.values["Image"]}}
    pages = TaskMapping("ID", "Image", "images", (), pages=True)
    assert pages.task(row).data == {"ID": "1", "images": ["gs://one/a.jpg", "gs://two/b.jpg"]}
    assert summarize(rows, pages).buckets == ("one", "two")


def test_what_a_path_begins_with_may_not_be_a_column() -> None:
    with pytest.raises(TableError, match=r"\$photo.url as the image"):
        TaskMapping("ID", "Image", "photo.url", ("photo",)).check(("ID", "Image", "photo"))


@pytest.fixture
def project(label_studio: LabelStudioServer) -> FakeProject:
    return label_studio.projects[label_studio.add("<View/>")]


def identifiers(project: FakeProject) -> list[str]:
    return [task["meta"]["identifier"] for task in project.tasks.values()]


def creation(label_studio: LabelStudio, rows: CsvTable) -> ProjectBuilder:
    order = ProjectSpec("Many", "<View/>", RULE, SampleSize.parse("100%"), 1, 1)
    return ProjectBuilder(label_studio, order, rows, summarize(rows, RULE), None, None, False)


def fill(url: str, rows: CsvTable) -> tuple[int, int]:
    with LabelStudio(url, TOKEN) as label_studio:
        return creation(label_studio, rows).fill(3, lambda: None)


def test_a_second_run_goes_on_where_the_first_was_refused(
    tmp_path: Path, label_studio: LabelStudioServer, project: FakeProject
) -> None:
    rows = table(tmp_path, *(f"{n},a,gs://one/{n}.jpg" for n in range(2_300)))

    def full(request: Request) -> Reply | None:
        refused = request.method == "POST" and len(project.tasks) == 1_500
        return refusal(500, "the disk is full") if refused else None

    label_studio.fault = full
    with pytest.raises(Exception, match="the disk is full"):
        fill(label_studio.url, rows)
    label_studio.fault = lambda _request: None
    assert fill(label_studio.url, rows) == (800, 1_500)
    assert fill(label_studio.url, rows) == (0, 2_300)
    assert identifiers(project) == [str(n) for n in range(2_300)]


def test_a_task_that_is_deleted_meanwhile_makes_none_of_the_others_come_twice(
    tmp_path: Path, label_studio: LabelStudioServer, project: FakeProject
) -> None:
    rows = table(tmp_path, *(f"{n},a,gs://one/{n}.jpg" for n in range(1_500)))
    fill(label_studio.url, rows)
    label_studio.requests.clear()

    def delete_the_first_after_a_page(_request: Request) -> None:
        if label_studio.routes == ["/api/tasks"] * 2:
            del project.tasks[min(project.tasks)]

    label_studio.fault = delete_the_first_after_a_page
    assert fill(label_studio.url, rows) == (0, 1_500)
    assert len(project.tasks) == 1_499
