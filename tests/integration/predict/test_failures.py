"""failed.csv holds what failed the last time it was taken, and nothing else."""

import csv
from pathlib import Path

import pytest

from segstudio.data.store import Folder
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome


def outcome(name: str, content: int = 1, reason: str = "") -> Outcome:
    item = Item(f"{name} {content}", f"gs://looks/{name}-{content}", meta={"identifier": name})
    return Outcome(item, None if reason else {"result": []}, reason)


def failures(folder: Path, retry: bool = False) -> Failures:
    return Failures(Folder(folder), "failed.csv", retry=retry)


def rows(folder: Path) -> list[tuple[str, str]]:
    with (folder / "failed.csv").open(newline="") as file:
        return [(row["identifier"], row["reason"]) for row in csv.DictReader(file)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the failures of an earlier run."""
    failed = [outcome("a", reason="cut off"), outcome("b", reason='no "access",\nno')]
    failures(tmp_path).note([*failed, outcome("c")])
    return tmp_path


def test_what_failed_is_known_to_the_next_run(folder: Path) -> None:
    assert rows(folder) == [("a", "cut off"), ("b", 'no "access",\nno')]
    assert set(failures(folder).known) == {"a 1", "b 1"}


def test_an_image_that_was_mended_is_in_the_table_no_longer(folder: Path) -> None:
    failures(folder).note([outcome("a", content=2)])
    assert [name for name, _ in rows(folder)] == ["b"]


def test_an_image_that_fails_in_another_way_is_in_the_table_once(folder: Path) -> None:
    failures(folder).note([outcome("a", content=2, reason="not an image")])
    assert sorted(rows(folder))[0] == ("a", "not an image")
    assert set(failures(folder).known) == {"a 2", "b 1"}


def test_a_retry_keeps_what_fails_again(folder: Path) -> None:
    table = failures(folder, retry=True)
    assert list(table.known) == []
    table.note([outcome("a"), outcome("b", reason="still no access")])
    assert rows(folder) == [("b", "still no access")]


def test_a_retry_of_images_that_are_gone_empties_the_table(folder: Path) -> None:
    failures(folder, retry=True).note([])
    assert rows(folder) == []
