import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, box, brush, choice, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, Task, annotation, task

ANNA, BEN = 1, 2
LEFT, RIGHT = rectangle_mask(0, 0, 20, 20), rectangle_mask(10, 0, 20, 20)
FAR = rectangle_mask(40, 20, 20, 20)


def sentiments(values: str, by: int) -> list[Task]:
    """A task for each letter: P and N are answers, a dash is none."""
    names = {"P": ["Positive"], "N": ["Negative"], "-": []}
    return [
        task(
            f"{number:02}.jpg",
            *(annotation(number, choice("Sentiment", name), by=by) for name in names[value]),
        )
        for number, value in enumerate(values)
    ]


def masks(*drawn: dict[str, npt.NDArray[np.bool_]], by: int) -> list[Task]:
    """A task for each: label to mask."""
    return [
        task(
            f"{number:02}.jpg",
            annotation(number, *(brush(name, name, mask) for name, mask in each.items()), by=by),
        )
        for number, each in enumerate(drawn)
    ]


def add(label_studio: LabelStudioServer, *copies: list[Task]) -> str:
    return ",".join(str(label_studio.add(CONFIG, tasks)) for tasks in copies)


def measure(run: Run, projects: str, *more: object) -> Any:
    result = run("agreement", "--project", projects, "--json", *more)
    assert result.exit_code == 0, result.output
    return records(result)[-1]


def test_choices_have_kappa_and_alpha_as_a_whole_and_each(
    run: Run, label_studio: LabelStudioServer
) -> None:
    """Wikipedia's example of kappa: 20 both yes, 15 both no, 5 and 10 apart."""
    anna = sentiments("P" * 20 + "P" * 5 + "N" * 10 + "N" * 15 + "P-", ANNA)
    ben = sentiments("P" * 20 + "N" * 5 + "P" * 10 + "N" * 15 + "-N", BEN)
    found = measure(run, add(label_studio, anna, ben))
    assert (found["images"], found["annotators"]) == (50, ["anna@example.org", "ben@example.org"])
    choices = {(each["control"], each["choice"]): each for each in found["choices"]}
    assert choices["Sentiment", ""]["images"] == 50
    for name in ("", "Positive", "Negative"):
        assert choices["Sentiment", name]["kappa"] == pytest.approx(0.4)
        assert choices["Sentiment", name]["alpha"] == pytest.approx(0.4, abs=0.02)
    assert choices["Objects", "Flag"]["kappa"] is None, "nobody ever chose it"


def test_masks_have_their_overlap_over_all_pairs_of_whom_one_marked_the_label(
    run: Run, label_studio: LabelStudioServer
) -> None:
    anna = masks({"dress": LEFT}, {"dress": LEFT, "hat": FAR}, {"bag": FAR}, by=ANNA)
    ben = masks({"dress": RIGHT}, {"dress": LEFT}, {"bag": FAR}, by=BEN)
    found = measure(run, add(label_studio, anna, ben))
    labels = {each["label"]: each for each in found["masks"]}
    assert set(labels) == {"dress", "hat", "bag"}
    assert labels["dress"]["iou"] == pytest.approx((1 / 3 + 1) / 2)
    assert (labels["dress"]["pairs"], labels["dress"]["one_sided"]) == (2, 0)
    assert (labels["hat"]["iou"], labels["hat"]["boundary_f"]) == (0, 0)
    assert (labels["hat"]["pairs"], labels["hat"]["one_sided"]) == (1, 1)
    assert (labels["bag"]["iou"], labels["bag"]["boundary_f"]) == (1, 1)


def test_images_that_people_disagree_on_most_come_first_with_the_reason(
    run: Run, label_studio: LabelStudioServer
) -> None:
    anna = masks({"dress": LEFT}, {"dress": LEFT, "hat": FAR}, {"bag": FAR}, by=ANNA)
    ben = masks({"dress": RIGHT}, {"dress": LEFT}, {"bag": FAR}, by=BEN)
    projects = add(label_studio, anna, ben)
    found = measure(run, projects, "--out", "agreement")
    score = {each["identifier"]: each for each in found["most_disagreement"]}
    assert list(score) == ["00.jpg", "01.jpg", "02.jpg"]
    # Both have answered what may have several answers with none: they agree on Objects.
    assert score["00.jpg"]["score"] == pytest.approx((2 / 3 + 0) / 2)
    assert score["00.jpg"]["worst"] == "dress"
    assert score["01.jpg"]["score"] == pytest.approx((0 + 1 + 0) / 3)
    assert score["01.jpg"]["worst"] == "hat"
    assert (score["02.jpg"]["score"], score["02.jpg"]["worst"]) == (0, "")
    assert len(measure(run, projects, "--top", 1)["most_disagreement"]) == 1
    with Path("agreement/images.csv").open(newline="") as file:
        assert [row["identifier"] for row in csv.DictReader(file)] == list(score)


def test_several_regions_of_a_label_count_as_one_mask(
    run: Run, label_studio: LabelStudioServer
) -> None:
    halves = brush("a", "dress", LEFT), brush("b", "dress", RIGHT)
    whole = brush("c", "dress", LEFT | RIGHT)
    anna = [task("1.jpg", annotation(1, *halves, by=ANNA))]
    ben = [task("1.jpg", annotation(2, whole, by=BEN))]
    (dress,) = measure(run, add(label_studio, anna, ben))["masks"]
    assert dress["iou"] == 1


def test_skipped_annotations_do_not_count_and_the_latest_of_several_does(
    run: Run, label_studio: LabelStudioServer
) -> None:
    negative, positive = choice("Sentiment", "Negative"), choice("Sentiment", "Positive")
    earlier, later = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    anna = [
        task(
            "1.jpg",
            annotation(1, positive, brush("a", "dress", LEFT), at=later),
            annotation(2, negative, brush("a", "dress", FAR), at=earlier),
        ),
        task("2.jpg", annotation(3, negative, skipped=True)),
        task("3.jpg", annotation(4, negative, at=earlier), annotation(5, positive, at=later)),
    ]
    ben = [
        task("1.jpg", annotation(6, positive, brush("b", "dress", LEFT), by=BEN)),
        task("2.jpg", annotation(7, positive, by=BEN)),
        task("3.jpg", annotation(8, positive, by=BEN)),
    ]
    found = measure(run, add(label_studio, anna, ben))
    assert found["images"] == 2
    assert [each["score"] for each in found["most_disagreement"]] == [0, 0]
    assert [each["iou"] for each in found["masks"]] == [1]


def test_copies_are_compared_where_annotators_share_an_account(
    run: Run, label_studio: LabelStudioServer
) -> None:
    projects = add(label_studio, sentiments("PNP", ANNA), sentiments("PNN", ANNA))
    result = run("agreement", "--project", projects)
    assert result.exit_code == 1
    assert "--by project" in result.output
    found = measure(run, projects, "--by", "project")
    assert (found["images"], found["annotators"]) == (3, ["project 3", "project 4"])


def test_people_get_tables_and_a_folder_with_a_picture(
    run: Run, label_studio: LabelStudioServer
) -> None:
    anna = [
        *sentiments("PN", ANNA),
        task("x.jpg", annotation(9, brush("a", "dress", LEFT), by=ANNA)),
    ]
    ben = [
        *sentiments("PP", BEN),
        task("x.jpg", annotation(9, brush("a", "dress", RIGHT), by=BEN)),
    ]
    projects = add(label_studio, anna, ben)
    for _ in range(2):
        result = run("agreement", "--project", projects, "--out", "agreement")
        assert result.exit_code == 0, result.output
    for text in ("Sentiment", "kappa", "alpha", "dress", "IoU", "0.333", "01.jpg"):
        assert text in result.output
    assert sorted(path.name for path in Path("agreement").iterdir()) == [
        "agreement.csv",
        "agreement.png",
        "images.csv",
    ]
    picture = np.asarray(Image.open("agreement/agreement.png").convert("RGB"))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 2
    with Path("agreement/agreement.csv").open(newline="") as file:
        measures = {(row["label"], row["measure"]): row["value"] for row in csv.DictReader(file)}
    assert float(measures["dress", "iou"]) == pytest.approx(1 / 3)
    assert measures["Flag", "kappa"] == "", "undefined"


def test_masks_of_different_sizes_are_told_and_not_compared(
    run: Run, label_studio: LabelStudioServer
) -> None:
    large = {**box("b", "dress", 0, 0, 9, 9), "original_width": 600}
    anna = [task("1.jpg", annotation(1, box("a", "dress", 0, 0, 9, 9)))]
    ben = [task("1.jpg", annotation(2, large, by=BEN))]
    result = run("agreement", "--project", add(label_studio, anna, ben), "--with-boxes", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout.splitlines()[0])["failed"] == "masks of different sizes"


@pytest.mark.parametrize("tasks", [[], [task("1.jpg", annotation(1))]])
def test_nothing_to_compare_is_told(
    run: Run, label_studio: LabelStudioServer, tasks: list[Task]
) -> None:
    result = run("agreement", "--project", add(label_studio, tasks), "--out", "agreement")
    assert result.exit_code == 1
    assert "no image has annotations of two annotators" in result.output
    assert not list(Path().iterdir())


def test_an_annotation_made_by_hand_that_cannot_be_read_is_named_and_the_others_are_compared(
    run: Run, label_studio: LabelStudioServer
) -> None:
    anna, ben = sentiments("P", ANNA), sentiments("P", BEN)
    broken = choice("Objects", "Flag")
    del broken["type"]
    anna[0]["annotations"][0]["result"].append(broken)
    result = run("agreement", "--project", add(label_studio, anna, ben), "--json")
    assert result.exit_code == 3
    problem, outcome = records(result)
    assert problem["failed"] == "a result of it has no type"
    assert outcome["images"] == 1


def test_of_labels_that_are_equally_far_apart_the_first_by_name_is_the_worst_in_every_run(
    run: Run, label_studio: LabelStudioServer
) -> None:
    """Not the first of a set, whose order differs from run to run, as do sums in that order."""
    images = [[f"{letter}{number}" for number in range(9)] for letter in "abcdefgh"]
    anna = masks(*(dict.fromkeys(labels, LEFT) for labels in images), by=ANNA)
    ben = masks(*(dict.fromkeys(labels, FAR) for labels in images), by=BEN)
    found = measure(run, add(label_studio, anna, ben))["most_disagreement"]
    assert [each["worst"] for each in found] == [labels[0] for labels in images]
