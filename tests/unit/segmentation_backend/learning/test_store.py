from pathlib import Path

import pytest

from segmentation_backend.learning.store import (
    VERSIONS_KEPT,
    LearnedStoreError,
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    known_projects,
    write_json,
)
from tests.support.learned import saving

PROJECT = ProjectKey(3, 1_795_870_458)


@pytest.fixture
def store(tmp_path: Path) -> ProjectStore:
    return ProjectStore(tmp_path / "learned", PROJECT)


def add(store: ProjectStore, content: str) -> LearnedVersion:
    return store.add(saving(content), lambda _: None)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("3.1795870458", PROJECT),
        ("3", None),
        ("../3.5", None),
        (3.5, None),
        (None, None),
        ({"id": 3}, None),
    ],
)
def test_a_project_is_what_label_studio_sends_in_requests(
    text: object, key: ProjectKey | None
) -> None:
    assert ProjectKey.parse(text) == key


def test_a_project_of_an_event_is_the_same_one() -> None:
    assert ProjectKey.of({"id": 3, "created_at": "2026-11-28T12:54:18.430589Z"}) == PROJECT
    assert ProjectKey.of({"id": 3}) is None


def test_each_version_is_named_after_project_number_and_content(store: ProjectStore) -> None:
    assert store.current() is None
    first, second = add(store, "one"), add(store, "two")
    assert first.name == "learned-3-1-7692c3ad"
    assert second.number == 2
    assert store.versions() == [first, second]
    assert store.current() == second
    assert second.model.read_text() == "two"
    assert known_projects(store.folder.parent) == [PROJECT]


def test_the_last_ten_are_kept_and_the_current_one_always(store: ProjectStore) -> None:
    for number in range(VERSIONS_KEPT + 3):
        add(store, str(number))
    assert [each.number for each in store.versions()] == list(range(4, VERSIONS_KEPT + 4))


def test_rollback_goes_to_the_version_before_and_from_the_first_to_the_shipped_model(
    store: ProjectStore,
) -> None:
    first, second = add(store, "one"), add(store, "two")
    assert store.rollback() == first
    assert store.current() == first
    assert store.rollback() is None
    assert store.current() is None
    with pytest.raises(LearnedStoreError, match="shipped model already"):
        store.rollback()
    store.use(store.find(second.name))
    assert store.current() == second


def test_a_version_that_is_not_there_is_refused_with_those_that_are(store: ProjectStore) -> None:
    version = add(store, "one")
    assert store.find("1") == version
    with pytest.raises(LearnedStoreError, match=version.name):
        store.find("2")


def test_a_run_killed_while_it_writes_leaves_what_served_and_its_rest_goes(
    store: ProjectStore,
) -> None:
    served = add(store, "one")

    def killed(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add(killed, lambda _: None)
    assert store.current() == served
    assert store.versions() == [served]
    add(store, "two")
    assert len(list((store.folder / "versions").iterdir())) == 2


def test_a_full_disk_is_one_clear_line(store: ProjectStore) -> None:
    served = add(store, "one")
    with pytest.raises(LearnedStoreError, match=r"No space left on device.*MODELS_DIR"):
        store.add(lambda _: saving("x")(Path("/dev/full")), lambda _: None)
    assert store.current() == served


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "learned").write_text("a file in its place")
    with pytest.raises(LearnedStoreError, match=r"cannot write .*MODELS_DIR must be writable"):
        write_json(tmp_path / "learned" / "x.json", {})
