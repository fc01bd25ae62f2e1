import csv
import json
import os
import subprocess
import sys
from datetime import datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from typer.testing import Result

from tests.support.command_line import Run, records
from tests.support.drawn import (
    CONFIG,
    HEIGHT,
    WIDTH,
    Entry,
    box,
    brush,
    choice,
    point,
    polygon,
    rectangle_mask,
)
from tests.support.label_studio_server import TIME, LabelStudioServer, Task, annotation, task
from tests.support.waiting import eventually

ANNA, BEN = "anna@example.org", "ben@example.org"
DRESS, HAT = rectangle_mask(10, 5, 30, 20), rectangle_mask(20, 10, 5, 5)
FORMATS = ("csv", "jsonl", "parquet", "masks", "coco")


def note(text: str) -> Entry:
    value = {"text": [text]}
    return {"id": "n", "from_name": "note", "to_name": "image", "type": "textarea", "value": value}


def stars(number: int) -> Entry:
    value = {"rating": number}
    return {"id": "s", "from_name": "stars", "to_name": "image", "type": "rating", "value": value}


@pytest.fixture
def copies(label_studio: LabelStudioServer) -> str:
    """Two copies of three tasks: what Anna said in one, Ben in the other."""
    anna = [
        task(
            "anna/1.jpg",
            annotation(
                11,
                brush("r1", "hat", HAT),
                brush("r2", "dress", DRESS),
                point("r3", "dress"),
                box("r4", "dress", 0, 0, 50, 30),
                choice("Sentiment", "Positive"),
                choice("Objects", "Flag", "Person"),
                note('Zoë said "a, b"\nand left'),
                stars(4),
            ),
        ),
        task("anna/2.jpg", annotation(12, skipped=True)),
        task("anna/3.jpg"),
    ]
    ben = [
        task(
            "anna/1.jpg",
            annotation(21, polygon("p1", "dress", (10, 5), (40, 5), (40, 25), (10, 25)), by=2),
        ),
        {
            **task("anna/2.jpg", annotation(22, choice("Sentiment", "Negative"), by=2)),
            "predictions": [{"model_version": "v1", "result": [brush("r", "hat", HAT)]}],
        },
        task("anna/3.jpg", annotation(23, by=2), annotation(24, brush("r", "bag", HAT), by=2)),
    ]
    return ",".join(str(label_studio.add(CONFIG, tasks)) for tasks in (anna, ben))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ID", "task", "Caption", "identifier", "image"])
        for number in (1, 2, 3):
            identifier = f"anna/{number}.jpg"
            caption = f"Look {number},\nautumn"
            rows.writerow([number, "sew", caption, identifier, f"gs://looks/{identifier}"])
    return path


def export(run: Run, projects: str, kind: str, *more: object, out: str = "") -> Result:
    words = ["--project", projects, "--format", kind, "--out", out or f"out.{kind}", *more]
    return run("export", *words)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_for_each_annotation_with_choices_and_the_manifests_columns(
    run: Run, copies: str, manifest: Path
) -> None:
    result = export(run, copies, "csv", "--manifest", manifest)
    assert result.exit_code == 0, result.output
    assert "5 annotations and 1 skipped of 6 tasks in out.csv" in result.output
    rows = {int(row["annotation"]): row for row in read_csv(Path("out.csv"))}
    assert list(rows) == [11, 12, 21, 22, 23, 24]
    assert (rows[11]["identifier"], rows[11]["annotator"]) == ("anna/1.jpg", ANNA)
    assert rows[11]["Sentiment"] == "Positive"
    assert json.loads(rows[11]["Objects"]) == ["Flag", "Person"]
    assert json.loads(rows[11]["mask"]) == ["hat", "dress"]
    assert json.loads(rows[11]["note"]) == ['Zoë said "a, b"\nand left']
    assert (rows[11]["stars"], rows[11]["lead_time"]) == ("4", "2.5")
    assert rows[11]["Caption"] == "Look 1,\nautumn"
    assert (rows[11]["task"], rows[11]["manifest.task"]) == ("3000001", "sew")
    assert datetime.fromisoformat(rows[11]["created_at"]) == datetime.fromisoformat(TIME)
    assert [row["skipped"] for row in rows.values()].count("true") == 1
    assert rows[12]["skipped"] == "true"
    assert (rows[22]["annotator"], rows[22]["Sentiment"]) == (BEN, "Negative")
    assert rows[23]["mask"] == ""


def test_json_lines_hold_each_result_just_as_label_studio_does(run: Run, copies: str) -> None:
    assert export(run, copies, "jsonl").exit_code == 0
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    first = lines[0]
    assert first["Objects"] == ["Flag", "Person"]
    assert first["data"] == {"image": "gs://looks/anna/1.jpg"}
    assert [entry["id"] for entry in first["result"]][:4] == ["r1", "r2", "r3", "r4"]
    assert first["result"][0] == brush("r1", "hat", HAT)


def test_parquet_is_typed(run: Run, copies: str, manifest: Path) -> None:
    assert export(run, copies, "parquet", "--manifest", manifest).exit_code == 0
    rows = parquet.read_table("out.parquet").to_pylist()
    assert len(rows) == 6
    assert rows[0]["Objects"] == ["Flag", "Person"]
    assert rows[0]["stars"] == 4.0
    assert rows[0]["created_at"] == datetime.fromisoformat(TIME)
    assert (rows[1]["skipped"], rows[1]["Sentiment"], rows[1]["Objects"]) == (True, None, [])
    assert rows[0]["ID"] == "1"


def test_masks_are_indexed_with_their_palette_and_the_smaller_region_on_top(
    run: Run, copies: str
) -> None:
    result = export(run, copies, "masks", "--json")
    assert result.exit_code == 0, result.output
    assert records(result)[-1]["regions"] == 4
    assert records(result)[-1]["left_out"] == 2, "a point, and a box next to a brush"
    folder = Path("out.masks")
    labels = {row["label"]: int(row["index"]) for row in read_csv(folder / "labels.csv")}
    assert labels == {"background": 0, "dress": 1, "hat": 2, "bag": 3, "shoe": 4}
    image = Image.open(folder / ANNA / "anna" / "1.png")
    assert (image.mode, image.size) == ("P", (WIDTH, HEIGHT))
    expected = np.where(HAT, 2, np.where(DRESS, 1, 0))
    assert (np.asarray(image) == expected).all(), "though the hat was drawn first"
    palette = image.getpalette()
    assert palette is not None
    assert palette[:6] == [0, 0, 0, 0xFF, 0x80, 0], "the label config's colour"

    rows = {int(row["annotation"]): row for row in read_csv(folder / "masks.csv")}
    assert rows[11]["mask_path"] == f"{ANNA}/anna/1.png"
    assert rows[11]["overlap_pixels"] == str(HAT.sum())
    assert rows[11]["left_out"] == "2"
    assert rows[12]["mask_path"] == "", "skipped"
    for id_, size in ((22, "a prediction's size"), (23, "the size of another annotation")):
        empty = Image.open(folder / rows[id_]["mask_path"])
        assert (empty.size, empty.getextrema()) == ((WIDTH, HEIGHT), (0, 0)), size
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert files == {row["mask_path"] for row in rows.values()} - {""}


def test_two_masks_of_one_name_both_have_a_file(run: Run, label_studio: LabelStudioServer) -> None:
    strokes = [annotation(n, brush("r", "hat", HAT)) for n in (1, 2, 3, 4)]
    tasks = [
        task("a/b.jpg", strokes[0], strokes[1]),
        task("A/B.png", strokes[2]),
        task("../../a/./b.jpg", strokes[3]),
    ]
    assert export(run, str(label_studio.add(CONFIG, tasks)), "masks").exit_code == 0
    found = sorted(path.as_posix() for path in Path("out.masks").rglob("*.png"))
    folder = f"out.masks/{ANNA}"
    assert found == [
        f"{folder}/A/B.3.png",
        f"{folder}/a/b.2.png",
        f"{folder}/a/b.4.png",
        f"{folder}/a/b.png",
    ]


def masks_of(run: Run, label_studio: LabelStudioServer, *identifiers: str) -> list[str]:
    """Paths below the annotator's folder: two annotations an image, numbered from 4 on."""
    numbers = count(4)
    tasks = [
        task(each, *(annotation(next(numbers), brush("r", "hat", HAT)) for _ in range(2)))
        for each in identifiers
    ]
    result = export(run, str(label_studio.add(CONFIG, tasks)), "masks")
    assert result.exit_code == 0, result.output
    paths = [row["mask_path"] for row in read_csv(Path("out.masks/masks.csv"))]
    assert all(Path("out.masks", path).is_file() for path in paths)
    return [path.removeprefix(f"{ANNA}/") for path in paths]


def test_a_name_with_a_number_that_another_image_has_is_not_taken_twice(
    run: Run, label_studio: LabelStudioServer
) -> None:
    assert masks_of(run, label_studio, "a.jpg", "a.5.jpg") == [
        *("a.png", "a.5.png"),
        *("a.5.6.png", "a.5.7.png"),
    ]
    paths = masks_of(run, label_studio, "b.7.jpg", "b.7.7.jpg", "b.jpg", "B.7.jpg")
    assert len(set(map(str.casefold, paths))) == 8


def test_names_longer_than_a_file_system_takes_are_cut_between_characters(
    run: Run, label_studio: LabelStudioServer
) -> None:
    long = "\N{CJK UNIFIED IDEOGRAPH-88D9}" * 120
    paths = masks_of(run, label_studio, f"{long}/{long}1.jpg", f"{long}/{long}2.jpg")
    assert len(set(paths)) == 4
    assert max(len(part.encode()) for path in paths for part in path.split("/")) < 256


@pytest.mark.parametrize("identifier", [".", "..", "/", " ", "./.."])
def test_an_identifier_of_which_no_name_is_left_has_one_all_the_same(
    run: Run, label_studio: LabelStudioServer, identifier: str
) -> None:
    assert masks_of(run, label_studio, identifier) == ["image.png", "image.5.png"]


def test_an_annotator_without_an_address_has_a_folder(
    run: Run, label_studio: LabelStudioServer
) -> None:
    label_studio.users[1] = ""
    assert masks_of(run, label_studio, "a.jpg") == ["annotator/a.png", "annotator/a.5.png"]


def test_coco_keeps_every_region_and_pycocotools_reads_it(
    run: Run, copies: str, manifest: Path
) -> None:
    result = export(run, copies, "coco", "--manifest", manifest)
    assert result.exit_code == 0, result.output
    coco = COCO("out.coco")
    images = {image["file_name"]: image for image in coco.dataset["images"]}
    assert images["anna/1.jpg"]["annotated_by"] == [ANNA, BEN]
    assert images["anna/2.jpg"]["skipped_by"] == [ANNA]
    assert images["anna/3.jpg"]["annotated_by"] == [BEN, BEN]
    assert images["anna/1.jpg"]["metadata"]["Caption"] == "Look 1,\nautumn"
    assert (images["anna/1.jpg"]["width"], images["anna/1.jpg"]["height"]) == (WIDTH, HEIGHT)

    found = coco.loadAnns(coco.getAnnIds(imgIds=[images["anna/1.jpg"]["id"]]))
    by_region = {each["region"]: each for each in found}
    assert set(by_region) == {"r1", "r2", "p1"}
    names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    for region, label, annotator, mask in (
        ("r1", "hat", ANNA, HAT),
        ("r2", "dress", ANNA, DRESS),
        ("p1", "dress", BEN, DRESS),
    ):
        each = by_region[region]
        assert (names[each["category_id"]], each["annotator"]) == (label, annotator)
        assert (coco.annToMask(each) == mask).all(), "whole, though others lie over it"
        assert each["area"] == mask.sum()
    assert by_region["r2"]["bbox"] == [10, 5, 30, 20]
    assert isinstance(by_region["r1"]["segmentation"], dict)
    assert by_region["p1"]["segmentation"] == [[10, 5, 40, 5, 40, 25, 10, 25]]


def test_rectangles_are_masks_where_nothing_finer_can_be_drawn_or_on_demand(
    run: Run, label_studio: LabelStudioServer
) -> None:
    boxes = """<View><Image name="image" value="$image"/>
      <RectangleLabels name="box" toName="image"><Label value="dress"/></RectangleLabels></View>"""
    tasks = [task("1.jpg", annotation(1, box("b", "dress", 10, 5, 30, 20)))]
    only_boxes, beside_a_brush = (str(label_studio.add(c, tasks)) for c in (boxes, CONFIG))
    for projects, more, regions in (
        (only_boxes, (), 1),
        (beside_a_brush, (), 0),
        (beside_a_brush, ("--with-boxes",), 1),
    ):
        result = export(run, projects, "masks", "--json", *more)
        told = records(result)[-1]
        assert (told["regions"], told["left_out"]) == (regions, 1 - regions)
    mask = np.asarray(Image.open(f"out.masks/{ANNA}/1.png"))
    assert ((mask == 1) == DRESS).all()


def test_one_annotators_masks_can_be_had_alone(run: Run, copies: str) -> None:
    result = export(run, copies, "coco", "--annotator", BEN, "--json")
    assert (records(result)[-1]["annotations"], records(result)[-1]["skipped"]) == (4, 0)
    annotators = {
        each["annotator"] for each in json.loads(Path("out.coco").read_text())["annotations"]
    }
    assert annotators == {BEN}


def test_a_mistyped_annotator_is_named(run: Run, copies: str) -> None:
    result = export(run, copies, "csv", "--annotator", "nobody@example.org")
    assert result.exit_code == 3
    assert "no annotation is by nobody@example.org" in result.output


@pytest.mark.parametrize("kind", FORMATS)
def test_a_region_that_cannot_be_drawn_is_named_and_the_others_are_written(
    run: Run, label_studio: LabelStudioServer, kind: str
) -> None:
    bad = brush("bad", "hat", HAT)
    bad["value"]["rle"] = bad["value"]["rle"][:9]
    turned = {**brush("turned", "hat", HAT), "image_rotation": 90}
    tasks = [task("1.jpg", annotation(1, bad, turned, brush("good", "dress", DRESS)))]
    result = export(run, str(label_studio.add(CONFIG, tasks)), kind, "--json")
    *problems, outcome = records(result)
    if kind in ("masks", "coco"):
        assert result.exit_code == 3
        assert [each["region"] for each in problems] == ["bad"]
        assert (outcome["regions"], outcome["problems"]) == (2, 1)
    else:
        assert result.exit_code == 0, "nothing is drawn"


@pytest.mark.parametrize("kind", FORMATS)
def test_an_annotation_made_by_hand_that_cannot_be_read_is_named_and_the_others_are_written(
    run: Run, label_studio: LabelStudioServer, kind: str
) -> None:
    bad, nameless = brush("bad", "hat", HAT), choice("Sentiment", "Positive")
    del bad["type"], nameless["from_name"]
    tasks = [task("1.jpg", annotation(1, bad, nameless, brush("good", "dress", DRESS)))]
    result = export(run, str(label_studio.add(CONFIG, tasks)), kind, "--json")
    assert result.exit_code == 3
    *problems, outcome = records(result)
    assert [(each["region"], each["failed"]) for each in problems] == [
        ("bad", "a result of it has no type"),
        ("id of Sentiment", "a result of it has no from_name"),
    ]
    assert (outcome["annotations"], outcome["regions"]) == (1, int(kind in ("masks", "coco")))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_export_twice_gives_the_same(run: Run, copies: str, kind: str) -> None:
    export(run, copies, kind)
    first = contents(Path(f"out.{kind}"))
    assert export(run, copies, kind).exit_code == 0
    if kind != "parquet":
        assert contents(Path(f"out.{kind}")) == first
    assert [path.name for path in Path().iterdir()] == [f"out.{kind}"], "nothing is left behind"


def contents(path: Path) -> dict[str, bytes]:
    files = path.rglob("*") if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_project_gives_an_empty_export(
    run: Run, label_studio: LabelStudioServer, kind: str
) -> None:
    result = export(run, str(label_studio.add(CONFIG, [])), kind)
    assert result.exit_code == 0, result.output
    assert "0 annotations and 0 skipped of 0 tasks" in result.output
    assert Path(f"out.{kind}").exists()
    if kind == "csv":
        assert read_csv(Path("out.csv")) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_that_fails_leaves_what_was_there(
    run: Run, label_studio: LabelStudioServer, copies: str, kind: str
) -> None:
    export(run, copies, kind)
    before = contents(Path(f"out.{kind}"))
    label_studio.projects[4].counts["total_annotations_number"] = 5
    result = export(run, copies, kind)
    assert result.exit_code == 1
    assert "project 4 has 5 annotations, but 4 were read" in result.output
    assert contents(Path(f"out.{kind}")) == before
    assert [path.name for path in Path().iterdir()] == [f"out.{kind}"]


def test_a_dry_run_tells_the_counts_and_writes_nothing(run: Run, copies: str) -> None:
    result = export(run, copies, "csv", "--dry-run")
    assert result.exit_code == 0
    assert "5 annotations and 1 skipped of 6 tasks would be in out.csv" in result.output
    assert not list(Path().iterdir())


def test_a_dry_run_for_one_annotator_tells_that_ones_counts(run: Run, copies: str) -> None:
    result = export(run, copies, "csv", "--dry-run", "--annotator", BEN, "--json")
    told = records(result)[-1]
    assert (told["annotations"], told["skipped"], told["tasks"]) == (4, 0, 6)
    assert not list(Path().iterdir())


def test_images_that_the_manifest_does_not_have_are_counted(
    run: Run, copies: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.csv"
    path.write_text("ID,Caption,identifier\n1,One,anna/1.jpg\n")
    result = export(run, copies, "csv", "--manifest", path)
    assert result.exit_code == 3
    assert "4 annotations are of images that the manifest does not have" in result.output
    captions = [row["Caption"] for row in read_csv(Path("out.csv"))]
    assert captions == ["One", "", "One", "", "", ""]


def test_tasks_of_another_making_are_joined_by_their_image(
    run: Run, label_studio: LabelStudioServer, manifest: Path
) -> None:
    tasks = [task("anna/2.jpg", annotation(1)), task("elsewhere/9.jpg", annotation(2))]
    for each in tasks:
        each["meta"] = {}
    result = export(run, str(label_studio.add(CONFIG, tasks)), "csv", "--manifest", manifest)
    assert result.exit_code == 3
    rows = read_csv(Path("out.csv"))
    assert [(row["identifier"], row["ID"]) for row in rows] == [
        ("anna/2.jpg", "2"),
        ("elsewhere/9.jpg", ""),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ID,Caption\n1,x\n", "no column 'identifier'"),
        ("ID,identifier\n1,a\n2,a\n", "row 2 of the manifest repeats 'a'"),
    ],
)
def test_a_manifest_that_is_no_key_is_refused(
    run: Run, copies: str, tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    result = export(run, copies, "csv", "--manifest", path)
    assert result.exit_code == 1
    assert reason in result.output


def test_answers_to_a_question_that_is_gone_are_told(
    run: Run, label_studio: LabelStudioServer
) -> None:
    tasks = [task("1.jpg", annotation(1, choice("Gone", "yes")))]
    result = export(run, str(label_studio.add(CONFIG, tasks)), "csv")
    assert result.exit_code == 3
    assert "Gone is not in the label config" in result.output


def test_a_project_that_is_not_there_is_one_clear_line(run: Run, copies: str) -> None:
    result = export(run, "3,99", "csv")
    assert result.exit_code == 1
    assert "there is no project 99" in result.output
    assert not list(Path().iterdir())


def test_a_token_without_access_is_one_clear_line(
    run: Run, copies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    result = export(run, copies, "csv", "--json")
    assert result.exit_code == 1
    assert "token" in records(result)[0]["error"]["message"]


@pytest.mark.parametrize("projects", ["", "x", "3,-4", "0"])
def test_what_is_no_list_of_projects_is_wrong_usage(run: Run, projects: str) -> None:
    assert export(run, projects, "csv").exit_code == 2


@pytest.mark.parametrize("kind", FORMATS)
def test_something_else_in_the_place_of_the_output_is_left_alone(
    run: Run, copies: str, kind: str
) -> None:
    place = Path("place")
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    result = export(run, copies, kind, out="place")
    assert result.exit_code == 1
    assert contents(place) == {"place/mine.txt": b"mine"}


def test_an_output_that_cannot_be_written_is_one_clear_line(run: Run, copies: str) -> None:
    result = export(run, copies, "csv", out="nowhere/out.csv")
    assert result.exit_code == 1
    assert "cannot write nowhere/out.csv" in result.output


def brush_config(count: int) -> str:
    """A label config with so many labels: l0, l1, …"""
    labels = "".join(f'<Label value="l{number}"/>' for number in range(count))
    return f"""<View><Image name="image" value="$image"/>
      <BrushLabels name="mask" toName="image">{labels}</BrushLabels></View>"""


def test_more_labels_than_a_png_has_indices_are_refused_by_name(
    run: Run, label_studio: LabelStudioServer
) -> None:
    config = brush_config(256)
    project = str(label_studio.add(config, [task("1.jpg", annotation(1, brush("r", "l255", HAT)))]))
    result = export(run, project, "masks")
    assert result.exit_code == 1
    assert "'l255'" in result.output
    assert "--format coco" in result.output
    assert export(run, project, "coco").exit_code == 0
    (drawn,) = json.loads(Path("out.coco").read_text())["annotations"]
    assert drawn["category_id"] == 256


def test_a_label_that_nobody_expected_has_no_index_either_where_all_are_taken(
    run: Run, label_studio: LabelStudioServer
) -> None:
    config = brush_config(255)
    project = label_studio.add(config, [task("1.jpg", annotation(1, brush("r", "gone", HAT)))])
    result = export(run, str(project), "masks")
    assert result.exit_code == 1
    assert "'gone'" in result.output


def test_a_label_named_background_stands_beside_the_background(
    run: Run, label_studio: LabelStudioServer
) -> None:
    config = """<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image">
      <Label value="hat"/><Label value="background"/></BrushLabels></View>"""
    assert export(run, str(label_studio.add(config, [])), "masks").exit_code == 0
    labels = [(row["index"], row["label"]) for row in read_csv(Path("out.masks/labels.csv"))]
    assert labels == [("0", "background"), ("1", "hat"), ("2", "background")]


def test_an_export_asks_for_each_thing_once_and_counts_again_at_its_end(
    run: Run, label_studio: LabelStudioServer
) -> None:
    id_ = label_studio.add(CONFIG, [task("1.jpg", annotation(1, brush("r", "hat", HAT)))])
    assert export(run, str(id_), "csv").exit_code == 0
    project = f"/api/projects/{id_}"
    assert label_studio.routes == [project, "/api/tasks", "/api/users", project]


def test_an_export_killed_in_the_middle_leaves_no_output_and_can_be_run_again(
    run: Run, label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    def stroke(number: int) -> Task:
        return task(f"{number}.jpg", annotation(number, brush("r", "hat", HAT)))

    id_ = label_studio.add(CONFIG, [stroke(n) for n in range(1, 1001)])

    def pages() -> int:
        return label_studio.routes.count("/api/tasks")

    words = ["export", "--project", str(id_), "--format", "csv", "--out", "out.csv"]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("segstudio"), *words], cwd=tmp_path, env={**os.environ}
    )
    eventually(lambda: pages() >= 3, seconds=60)
    process.kill()
    process.wait()
    assert not (tmp_path / "out.csv").exists()
    result = export(run, str(id_), "csv", "--json")
    assert result.exit_code == 0
    assert len(read_csv(tmp_path / "out.csv")) == 1000
    assert records(result)[-1]["items_per_second"] > 0
