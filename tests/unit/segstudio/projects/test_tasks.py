"""Tables become tasks: what is refused before anything is made, and what a large one takes."""

import json
from pathlib import Path

import pytest

from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.task_paths import look_up
from segstudio.data.tables import CsvTable, Row, TableError
from segstudio.projects.create import ProjectBuilder, ProjectSpec
from segstudio.projects.sampling import SampleSize
from segstudio.projects.tasks import TaskField, TaskMapping, summarize
from tests.support.command_line import Run
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import TOKEN, FakeProject, LabelStudioServer, refusal

IMAGE = (TaskField("image"),)
RULE = TaskMapping("ID", "Image", IMAGE, ("Name",))


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
        TaskMapping("ID", "Image", IMAGE, ("image",)).check(("ID", "Image", "image"))
    assert "--" not in caught.value.hint, "not every command with such a table has the same options"


def test_an_image_at_a_path_and_pages_are_where_the_template_looks(tmp_path: Path) -> None:
    rows = table(tmp_path, "1,a,gs://one/a.jpg|gs://two/b.jpg")
    (row,) = rows
    nested = TaskMapping("ID", "Image", (TaskField("photo.url"),), ("Name",)).task(row)
    assert nested.data == {"ID": "1", "Name": "a", "photo": {"url": row.values["Image"]}}
    pages = TaskMapping("ID", "Image", (TaskField("images", pages=True),), ())
    assert pages.task(row).data == {"ID": "1", "images": ["gs://one/a.jpg", "gs://two/b.jpg"]}
    assert summarize(rows, pages).buckets == ("one", "two")


def test_what_a_path_begins_with_may_not_be_a_column() -> None:
    with pytest.raises(TableError, match=r"\$photo.url as the image"):
        TaskMapping("ID", "Image", (TaskField("photo.url"),), ("photo",)).check(
            ("ID", "Image", "photo")
        )


def rows_of(folder: Path, header: str, *rows: str) -> CsvTable:
    path = folder / "several.csv"
    path.write_text("\n".join([header, *rows]))
    return CsvTable(path)


def test_several_images_come_from_the_columns_named_like_their_fields(tmp_path: Path) -> None:
    header = "identifier,a,images[1],pages,Name"
    cells = '1,gs://one/a.jpg,https://h/b.jpg,"gs://two/c.jpg;gs://one/d.jpg",Anna'
    rows = rows_of(tmp_path, header, cells)
    fields = (TaskField("a"), TaskField("images[1]"), TaskField("pages", pages=True))
    rule = TaskMapping("identifier", "image", fields, ("Name",))
    rule.check(rows.columns)
    (row,) = rows
    assert rule.task(row).data == {
        "identifier": "1",
        "Name": "Anna",
        "a": "gs://one/a.jpg",
        "images": [None, "https://h/b.jpg"],
        "pages": ["gs://two/c.jpg", "gs://one/d.jpg"],
    }
    assert summarize(rows, rule).buckets == ("one", "two")
    with pytest.raises(TableError, match=r"no column 'a', 'images\[1\]', 'pages'"):
        rule.check(("identifier", "Name", "image"))


def test_another_image_of_several_makes_another_table(tmp_path: Path) -> None:
    rule = TaskMapping("ID", "image", (TaskField("a"), TaskField("b")), ())
    digests = {
        summarize(rows_of(tmp_path, "ID,a,b", row), rule).digest
        for row in ("1,x,y", "1,x,z", "1,y,x")
    }
    assert len(digests) == 3
    with pytest.raises(TableError, match=r"row 1 has no value in 'b' for \$b"):
        summarize(rows_of(tmp_path, "ID,a,b", "1,xy,"), rule)


def test_labels_of_each_task_are_a_json_list_in_the_column_of_their_name(tmp_path: Path) -> None:
    rule = TaskMapping("ID", "Image", (*IMAGE, TaskField("labels", labels=True)), ())
    rows = rows_of(tmp_path, "ID,Image,labels", '1,a.jpg,"[{""value"": ""dress""}]"')
    rule.check(rows.columns)
    (row,) = rows
    assert rule.task(row).data["labels"] == [{"value": "dress"}]
    assert rule.references(row) == ["a.jpg"]
    with pytest.raises(TableError, match="row 1 has no JSON list of labels in 'labels'"):
        summarize(rows_of(tmp_path, "ID,Image,labels", "1,a.jpg,dress"), rule)


@pytest.mark.parametrize(
    ("column", "cell", "path"),
    [
        ("photo", '{"url": "a.jpg"}', "photo.url"),
        ("images", '["x.jpg", "a.jpg"]', "images[1]"),
        ("images", '[{"url": "a.jpg"}]', "images[0].url"),
    ],
)
def test_an_object_or_list_of_a_shard_stays_what_it_is(column: str, cell: str, path: str) -> None:
    row = Row(1, {"identifier": "1", column: cell})
    for image_column in ("image", column):
        rule = TaskMapping("identifier", image_column, (TaskField(path),), ())
        rule.check(tuple(row.values))
        assert look_up(rule.task(row).data, path) == "a.jpg"
    other = Row(1, {"identifier": "1", column: "{}"})
    with pytest.raises(TableError, match=rf"no value in '{column}'"):
        TaskMapping("identifier", "image", (TaskField(path),), ()).task(other)


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


TWO = """<View><Image name="a" value="$front"/><Image name="b" value="$images[1]"/>
<Brush name="mask" toName="a,b"/><Rectangle name="box" toName="a,b"/>
<Labels name="label" toName="a,b" value="$labels"/></View>"""


def test_a_project_of_two_images_is_created_of_a_table_and_of_shards(
    run: Run, label_studio: LabelStudioServer
) -> None:
    Path("two.xml").write_text(TWO)
    Path("two.csv").write_text('identifier,front,images[1],labels\n1,/a.jpg,/b.jpg,"[""dress""]"\n')
    images = {"front": "/a.jpg", "images": [None, "/b.jpg"]}
    data = {"identifier": "1", "labels": ["dress"], **images}
    shard = {"data": data, "meta": {"identifier": "1"}, "predictions": []}
    Path("part-000000.jsonl").write_text(json.dumps(shard))
    for title, tasks in (("Table", "two.csv"), ("Shards", "part-000000.jsonl")):
        words = ("--template", "two.xml", "--title", title, "--tasks", tasks, "--no-backends")
        for _ in range(2):
            result = run("project", "create", *words)
            assert result.exit_code == 0, result.output
    made = [[*project.tasks.values()] for project in label_studio.projects.values()]
    assert [[task["data"] for task in tasks] for tasks in made] == [[data], [data]]
