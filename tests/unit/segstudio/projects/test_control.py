from pathlib import Path

import pytest

from ml_backend.labelstudio.control_tasks import CONTROL, is_control, is_drawn
from tests.support.command_line import Run, records
from tests.support.label_studio_server import LabelStudioServer


def create(run: Run, *more: object) -> None:
    words = ("--template", "visual_coding", "--title", "Looks", "--tasks", "posts.csv")
    result = run("project", "create", *words, "--no-backends", "--json", *more)
    assert result.exit_code == 0, result.output


@pytest.fixture
def table(run: Run) -> Path:
    path = Path("posts.csv")
    path.write_text("identifier,image\n" + "".join(f"{n},https://h/{n}.jpg\n" for n in range(300)))
    return path


def test_a_tenth_of_the_tasks_has_a_mark_and_an_empty_prediction(
    run: Run, label_studio: LabelStudioServer, table: Path
) -> None:
    create(run, "--control", "10%", "--copies", 2)
    drawn = []
    for project in label_studio.projects.values():
        marked = [task for task in project.tasks.values() if is_control(task["meta"])]
        assert all(
            task["predictions"] == [{"model_version": CONTROL, "result": []}] for task in marked
        )
        drawn.append({task["meta"]["identifier"] for task in marked})
    assert drawn[0] == drawn[1], "the same in all copies"
    assert 15 <= len(drawn[0]) <= 45


def test_without_the_option_no_task_is_marked(
    run: Run, label_studio: LabelStudioServer, table: Path
) -> None:
    create(run)
    (project,) = label_studio.projects.values()
    assert not any(is_control(task["meta"]) for task in project.tasks.values())


@pytest.mark.parametrize("part", ["10", "0%", "x%", "120%"])
def test_a_part_that_is_none_is_refused(
    run: Run, label_studio: LabelStudioServer, table: Path, part: str
) -> None:
    words = ("--template", "visual_coding", "--title", "Looks", "--tasks", "posts.csv")
    result = run("project", "create", *words, "--no-backends", "--control", part)
    assert result.exit_code == 1
    assert records(run("project", "create", *words, "--no-backends", "--control", part, "--json"))[
        0
    ]["error"]["type"]
    assert not label_studio.projects


def test_tasks_that_come_later_change_nothing_for_the_others() -> None:
    assert sum(is_drawn(str(n), 0.1, 1) for n in range(10_000)) == pytest.approx(1000, abs=150)
    drawn = [n for n in range(100) if is_drawn(str(n), 0.1, 1)]
    assert drawn != [n for n in range(100) if is_drawn(str(n), 0.1, 2)]


def test_only_a_mark_makes_a_control_task() -> None:
    assert is_control({CONTROL: "true"})
    assert not any(map(is_control, (None, {}, "text", [CONTROL], {CONTROL: ""})))
