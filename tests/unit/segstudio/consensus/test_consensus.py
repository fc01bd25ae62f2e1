import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml_backend.labelstudio.brush_rle import decode_rle
from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, Entry, brush, choice, rectangle_mask
from tests.support.label_studio_server import FakeProject, LabelStudioServer, annotation, task

DRESS, LOWER = rectangle_mask(10, 5, 30, 20), rectangle_mask(10, 10, 30, 20)
FAR, HAT = rectangle_mask(45, 30, 9, 9), rectangle_mask(20, 1, 5, 4)

SAID: dict[str, list[list[Entry]]] = {
    "same.jpg": [[brush("r", "dress", DRESS), choice("Sentiment", "Positive")]] * 3,
    "apart.jpg": [
        [brush("r", "dress", DRESS), choice("Sentiment", "Positive")],
        [brush("r", "dress", LOWER), choice("Sentiment", "Positive")],
        [brush("r", "dress", FAR), choice("Sentiment", "Negative")],
    ],
    "close.jpg": [
        [brush("r", "dress", DRESS), brush("h", "hat", HAT)],
        [brush("r", "dress", DRESS), brush("h", "hat", HAT)],
        [brush("r", "dress", LOWER), brush("h", "hat", HAT)],
    ],
}


@pytest.fixture
def copies(label_studio: LabelStudioServer) -> str:
    """Three copies of four tasks, of which all annotated three and one alone the last."""
    projects = []
    for rater in range(3):
        tasks = [
            task(name, annotation(10 * rater + n, *said[rater], by=rater + 1), Name=name)
            for n, (name, said) in enumerate(SAID.items())
        ]
        alone = [annotation(99, brush("r", "hat", HAT))] if rater == 0 else []
        tasks.append(task("alone.jpg", *alone))
        projects.append(str(label_studio.add(CONFIG, tasks)))
    return ",".join(projects)


@pytest.fixture(autouse=True)
def third(label_studio: LabelStudioServer) -> None:
    label_studio.users[3] = "cleo@example.org"


def consensus(run: Run, copies: str, *more: object, exit_code: int = 0) -> dict[str, Any]:
    words = ("--project", copies, "--title", "Review", "--json", *more)
    result = run("consensus", *words)
    assert result.exit_code == exit_code, result.output
    told: dict[str, Any] = records(result)[-1]
    return told


def counts(told: dict[str, Any]) -> tuple[int, int, int, int]:
    return told["created"], told["updated"], told["unchanged"], told["reviewed"]


def review(label_studio: LabelStudioServer) -> FakeProject:
    return next(p for p in label_studio.projects.values() if p.told.get("title") == "Review")


def regions(made: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Masks of a task's one prediction, by label."""
    (prediction,) = list(made.get("predictions", [])) + list(made.get("written", []))
    return {
        entry["value"]["brushlabels"][0]: decode_rle(entry["value"]["rle"], HEIGHT, WIDTH)
        for entry in prediction["result"]
        if entry["type"] == "brushlabels"
    }


def test_a_review_project_has_the_merged_masks_most_disputed_first(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    assert counts(consensus(run, copies)) == (3, 0, 0, 0)
    made = list(review(label_studio).tasks.values())
    assert [each["meta"]["identifier"] for each in made] == ["apart.jpg", "close.jpg", "same.jpg"]
    apart, close, same = made
    assert (regions(apart)["dress"] == (DRESS & LOWER)).all()
    assert (regions(close)["dress"] == DRESS).all()
    assert (regions(close)["hat"] == HAT).all()
    assert (regions(same)["dress"] == DRESS).all()
    scores = [each["predictions"][0]["score"] for each in made]
    assert scores == sorted(scores), "Label Studio takes the lowest score first"
    assert scores[2] == 1
    assert apart["meta"]["disagreement_on"] == "Sentiment"
    assert apart["data"]["Name"] == "apart.jpg"
    project = review(label_studio)
    assert (project.told["sampling"], project.model_version) == (
        "Uncertainty sampling",
        "consensus-majority",
    )


def test_choices_are_in_the_prediction(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    consensus(run, copies)
    apart = next(iter(review(label_studio).tasks.values()))
    (chosen,) = [e for e in apart["predictions"][0]["result"] if e["type"] == "choices"]
    assert (chosen["from_name"], chosen["value"]) == ("Sentiment", {"choices": ["Positive"]})


def test_the_same_command_twice_changes_nothing(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    first = consensus(run, copies)
    before = len(label_studio.requests)
    again = consensus(run, copies)
    assert counts(again) == (0, 0, 3, 0)
    assert (first["new_project"], again["new_project"]) == (True, False)
    assert first["project"] == again["project"]
    assert {request.method for request in label_studio.requests[before:]} == {"GET"}


def test_a_changed_annotation_changes_its_image_alone(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    consensus(run, copies)
    for project in (3, 4):
        tasks = label_studio.projects[project].tasks.values()
        same = next(each for each in tasks if each["meta"]["identifier"] == "same.jpg")
        same["annotations"][0]["result"] = [brush("r", "dress", LOWER)]
    assert counts(consensus(run, copies)) == (0, 1, 2, 0)
    made = {each["meta"]["identifier"]: each for each in review(label_studio).tasks.values()}
    assert (regions(made["same.jpg"])["dress"] == LOWER).all()
    assert counts(consensus(run, copies)) == (0, 0, 3, 0)


def test_what_the_reviewer_has_annotated_is_left_alone(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    consensus(run, copies)
    for each in review(label_studio).tasks.values():
        each["total_annotations"] = 1
    first = next(iter(label_studio.projects[3].tasks.values()))
    first["annotations"][0]["result"] = [brush("r", "dress", FAR)]
    before = len(label_studio.requests)
    assert counts(consensus(run, copies)) == (0, 0, 0, 3)
    assert {request.method for request in label_studio.requests[before:]} == {"GET"}


def test_a_dry_run_counts_and_changes_nothing(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    told = consensus(run, copies, "--dry-run", "--out", "maps")
    assert counts(told) == (3, 0, 0, 0)
    assert (told["project"], told["dry_run"]) == (None, True)
    assert {request.method for request in label_studio.requests} == {"GET"}
    assert not Path("maps").exists()


def test_a_folder_has_the_disagreement_as_numbers_and_maps(run: Run, copies: str) -> None:
    consensus(run, copies, "--out", "maps")
    with Path("maps/consensus.csv").open(newline="") as file:
        rows = {row["identifier"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["apart.jpg", "close.jpg", "same.jpg"]
    assert float(rows["same.jpg"]["disagreement"]) == 0
    assert rows["close.jpg"]["worst"] == "dress"
    close = np.asarray(Image.open(Path("maps", rows["close.jpg"]["map"])))
    assert (close == np.where(DRESS ^ LOWER, round(255 * 8 / 9), 0)).all()


def test_staple_is_another_method_and_another_project(
    run: Run, label_studio: LabelStudioServer, copies: str
) -> None:
    consensus(run, copies)
    refused = run("consensus", "--project", copies, "--title", "Review", "--method", "staple")
    assert refused.exit_code == 1
    assert "with other options" in refused.output
    words = ("--project", copies, "--title", "Review 2", "--method", "staple", "--json")
    assert counts(records(run("consensus", *words))[-1]) == (3, 0, 0, 0)


def test_a_label_that_the_config_lost_is_named_and_the_others_are_written(
    run: Run, label_studio: LabelStudioServer
) -> None:
    said = [brush("r", "gone", DRESS), brush("h", "hat", HAT)]
    copies = [
        str(label_studio.add(CONFIG, [task("1.jpg", annotation(n, *said, by=n))])) for n in (1, 2)
    ]
    told = consensus(run, ",".join(copies), exit_code=3)
    assert told["created"] == 1
    (made,) = review(label_studio).tasks.values()
    assert regions(made).keys() == {"hat"}


def test_a_bad_region_is_named_and_the_others_are_merged(
    run: Run, label_studio: LabelStudioServer
) -> None:
    bad = brush("bad", "dress", DRESS)
    bad["value"] = {**bad["value"], "rle": [0]}
    said = [bad, brush("h", "hat", HAT)]
    copies = [
        str(label_studio.add(CONFIG, [task("1.jpg", annotation(n, *said, by=n))])) for n in (1, 2)
    ]
    assert consensus(run, ",".join(copies), exit_code=3)["created"] == 1


def test_nothing_to_merge_is_one_clear_line(run: Run, label_studio: LabelStudioServer) -> None:
    project = label_studio.add(CONFIG, [task("1.jpg", annotation(1, brush("h", "hat", HAT)))])
    result = run("consensus", "--project", project, "--title", "Review")
    assert result.exit_code == 1
    assert "no image has annotations of two annotators" in result.output
