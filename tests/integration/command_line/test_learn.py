"""``segstudio learn`` as far as nothing has to be learned; tests/e2e has the rest."""

import json
from pathlib import Path

import pytest

from segmentation_backend.learning.store import (
    CARD,
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    write_json,
)
from tests.support.command_line import Run
from tests.support.drawn import CONFIG
from tests.support.label_studio_server import LabelStudioServer
from tests.support.learned import saving

KEY = ProjectKey(3, 1_795_402_435)


@pytest.fixture
def store(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ProjectStore:
    """Two versions of project 3."""
    label_studio.add(CONFIG)
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    store = ProjectStore(tmp_path / "learned", KEY)
    for text in ("one", "two"):
        store.add(saving(text), describe)
    return store


def describe(version: LearnedVersion) -> None:
    card = {"images": 20, "made": "2026-11-28", "figures": {"old": None, "new": 0.5}}
    write_json(version.folder / CARD, card)


def test_versions_are_listed_rolled_back_and_chosen(run: Run, store: ProjectStore) -> None:
    first, second = store.versions()
    listed = run("learn", "list", "--project", 3).stdout
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        [first.name, "2026-11-28"],
        [second.name, "yes"],
    ]
    told = run("learn", "rollback", "--project", 3)
    assert f"project 3 is served by {first.name}" in told.stdout
    assert store.current() == first
    run("learn", "use", "--project", 3, second.name)
    assert store.current() == second
    record = json.loads(run("learn", "use", "--project", 3, "shipped", "--json").stdout)
    assert record == {"project": 3, "version": "shipped"}
    assert store.current() is None


def test_a_version_that_is_not_there_ends_with_one_line(run: Run, store: ProjectStore) -> None:
    failed = run("learn", "use", "--project", 3, "9")
    assert failed.exit_code == 1
    assert "error: project 3 has no version '9' (it has learned-3-1-" in failed.stderr


def test_learning_needs_a_project_and_a_label_studio(run: Run) -> None:
    assert run("learn").exit_code == 2
    failed = run("learn", "--project", 3)
    assert failed.exit_code == 1
    assert "no Label Studio is known" in failed.stderr
