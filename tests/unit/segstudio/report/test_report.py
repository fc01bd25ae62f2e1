import csv
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from segstudio.report.page import describe_saved
from segstudio.report.times import FEWEST, TimeSaved, median, time_saved
from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, brush, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, annotation, task
from tests.support.labeled_projects import add_labeled_project, prediction, suggested
from tests.support.pictures import data_uri

HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)


def report(run: Run, *projects: int, exit_code: int = 0) -> dict[tuple[str, str, str], float]:
    ids = ",".join(map(str, projects))
    result = run("report", "--project", ids, "--out", "report.html", "--csv", "n.csv", "--json")
    assert result.exit_code == exit_code, result.output
    with Path("n.csv").open(newline="") as file:
        rows = {(r["about"], r["name"], r["measure"]): r["value"] for r in csv.DictReader(file)}
    assert records(result)[-1]["out"] == "report.html"
    return {name: float(value) for name, value in rows.items() if value}


def page() -> str:
    return Path("report.html").read_text(encoding="utf-8")


def test_the_numbers_are_those_of_the_annotations(
    run: Run, label_studio: LabelStudioServer
) -> None:
    found = report(run, add_labeled_project(label_studio))
    assert found["project", "3", "tasks"] == 87
    assert found["project", "3", "labeled"] == 85
    assert found["project", "3", "skipped"] == 1
    assert found["project", "3", "control"] == 25
    every = {name: found["all", "", name] for name in ("kept", "corrected", "relabelled")}
    assert found["all", "", "suggested"] == 120
    assert every["relabelled"] == 5 + 7, "every sixth of 30, every fourth of 30"
    assert (found["all", "", "deleted"], found["all", "", "added"]) == (5, 5)
    assert sum(every.values()) + found["all", "", "deleted"] == 120
    assert found["label", "hat", "deleted"] == 5
    assert found["label", "bag", "added"] == 5
    before, after = (found["model_version", f"segmentation-{v}", "iou"] for v in ("one", "two"))
    assert before < after, "learning shows"


def test_times_are_by_annotator_and_label(run: Run, label_studio: LabelStudioServer) -> None:
    tasks = [
        {**suggested(2, [brush("s1", "dress", DRESS), brush("s2", "hat", HAT)], "v", 30)},
        {**suggested(4, [brush("s1", "dress", DRESS)], "v", 90)},
    ]
    found = report(run, label_studio.add(CONFIG, tasks))
    anna = "anna@example.org"
    assert found["annotator", anna, "images"] == 2
    assert found["annotator", anna, "images_per_hour"] == 60
    assert found["annotator", anna, "median_seconds"] == 60
    assert found["annotator", anna, "seconds_per_region"] == 40
    assert found["label", "hat", "seconds_per_region"] == 15
    assert found["label", "dress", "seconds_per_region"] == pytest.approx((15 + 90) / 2)


def test_time_saved_is_measured_with_control_tasks(
    run: Run, label_studio: LabelStudioServer
) -> None:
    found = report(run, add_labeled_project(label_studio))
    assert found["time_saved", "", "seconds"] == pytest.approx(10, abs=1)
    assert found["time_saved", "", "low"] > 5
    assert "Suggestions save 10.0 s an image" in page()


def test_too_few_control_tasks_are_no_measurement(
    run: Run, label_studio: LabelStudioServer
) -> None:
    report(run, add_labeled_project(label_studio, control=FEWEST - 1))
    assert "Not enough data: 19 images without suggestions and 60 with" in page()


def test_without_control_tasks_the_page_says_how_to_have_some(
    run: Run, label_studio: LabelStudioServer
) -> None:
    report(run, add_labeled_project(label_studio, control=0))
    assert "Not measured: no project has tasks without suggestions" in page()
    assert "--control 10%" in page()


class _Names(HTMLParser):
    """Every tag, with what it loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.pictures: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "img":
            self.pictures.append(dict(attrs))


def test_the_page_is_one_file_that_loads_and_runs_nothing(
    run: Run, label_studio: LabelStudioServer
) -> None:
    report(run, add_labeled_project(label_studio))
    names = _Names()
    names.feed(page())
    assert "script" not in names.tags
    assert all(each.startswith("data:image/jpeg;base64,") for each in names.loaded)
    assert len(names.pictures) == 18, "six images, three times each"
    assert all(each["alt"] for each in names.pictures)
    assert "url(" not in page()


def test_what_people_wrote_is_text_on_the_page(run: Run, label_studio: LabelStudioServer) -> None:
    config = CONFIG.replace('value="hat"', 'value="&lt;script&gt;alert(1)&lt;/script&gt;"')
    label = "<script>alert(1)</script>"
    drawn = suggested(1, [brush("s1", label, HAT)], "<b>v</b>", 5)
    report(run, label_studio.add(config, [drawn]))
    assert "<script>" not in page()
    assert "&lt;script&gt;alert(1)" in page()
    assert "<b>v" not in page()


def test_a_project_without_a_task_has_a_report(run: Run, label_studio: LabelStudioServer) -> None:
    report(run, label_studio.add(CONFIG, []))
    assert "0 of 0 tasks are labeled" in page()
    assert "No annotation in the sample began with a suggested region" in page()


def test_the_suggestion_is_the_one_that_the_annotation_began_with(
    run: Run, label_studio: LabelStudioServer
) -> None:
    said = {**annotation(1, brush("a", "hat", HAT)), "parent_prediction": 5}
    versions = [
        prediction("parent", brush("b", "hat", HAT), id_=5),
        prediction("later", brush("c", "hat", DRESS), id_=6),
    ]
    found = report(
        run, label_studio.add(CONFIG, [{**task("1.jpg", said), "predictions": versions}])
    )
    assert found["model_version", "parent", "kept"] == 1


def test_a_bad_region_is_named_and_costs_nothing(run: Run, label_studio: LabelStudioServer) -> None:
    bad = {**brush("bad", "hat", HAT)}
    bad["value"] = {**bad["value"], "rle": [1, 2]}
    good = brush("s1", "dress", DRESS)
    found = report(run, label_studio.add(CONFIG, [suggested(1, [good, bad], "v", 5)]), exit_code=3)
    assert found["all", "", "kept"] == 1


def test_a_difference_that_may_be_chance_is_not_called_one() -> None:
    saved = time_saved([10, 12] * 20, [11, 13, 9, 12] * 10)
    assert saved is not None
    assert not saved.is_certain
    assert "cannot be determined yet" in describe_saved(saved)


def test_suggestions_may_cost_time() -> None:
    assert "Suggestions cost 3.0 s an image" in describe_saved(TimeSaved(-3, -4, -2, 10))


def test_the_median_of_nothing_is_unknown() -> None:
    assert median([]) is None
    assert time_saved([1] * 100, [1] * (FEWEST - 1)) is None


def test_an_image_that_cannot_be_fetched_is_gray(run: Run, label_studio: LabelStudioServer) -> None:
    changed = suggested(1, [brush("s1", "hat", DRESS)], "v", 5)
    changed["data"]["image"] = "ftp://nowhere/1.jpg"
    report(run, label_studio.add(CONFIG, [changed]))
    assert len(re.findall("<img ", page())) == 3
    assert data_uri(HEIGHT, WIDTH) not in page()
