import tracemalloc
from collections.abc import Iterator

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.annotations import DELETED_USER, AnnotationReader
from ml_backend.labelstudio.client import LabelStudio
from tests.support.drawn import CONFIG, choice
from tests.support.label_studio_server import TOKEN, LabelStudioServer, Task, annotation, task


@pytest.fixture
def label_studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server


@pytest.fixture
def reader(label_studio: LabelStudioServer) -> Iterator[AnnotationReader]:
    with LabelStudio(label_studio.url, TOKEN) as client:
        yield AnnotationReader(client)


def numbered(size: int, **data: str) -> list[Task]:
    """Tasks from 1 on, each annotated once."""
    said = choice("Sentiment", "Positive")
    return [task(f"{n}.jpg", annotation(n, said), **data) for n in range(1, size + 1)]


def test_a_project_tells_its_controls_its_image_and_label_studios_counts(
    label_studio: LabelStudioServer, reader: AnnotationReader
) -> None:
    id_ = label_studio.add(
        CONFIG, [task("1.jpg", annotation(1), annotation(2, skipped=True)), task("2.jpg")]
    )
    project = reader.project(id_)
    controls = {control.name: control for control in project.controls}
    assert [(each.name, each.key) for each in project.images] == [("image", "image")]
    counts = project.counts
    assert (counts.tasks, counts.annotations, counts.skipped) == (2, 1, 1)
    labels = [(label.value, label.background) for label in controls["mask"].labels]
    assert labels == [("dress", "#ff8000"), ("hat", ""), ("bag", "")]
    assert not controls["Sentiment"].multiple
    assert controls["Objects"].multiple


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 100, 101])
def test_every_task_comes_once_wherever_pages_end(
    label_studio: LabelStudioServer, reader: AnnotationReader, size: int
) -> None:
    project = reader.project(label_studio.add(CONFIG, numbered(size)))
    assert [each.image for each in reader.tasks(project)] == [
        f"gs://looks/{number + 1}.jpg" for number in range(size)
    ]


def test_annotators_have_their_address_even_new_ones_and_those_who_left(
    label_studio: LabelStudioServer, reader: AnnotationReader
) -> None:
    said = [annotation(n, by=user) for n, user in enumerate([1, None, 7, 2], start=1)]
    project = reader.project(label_studio.add(CONFIG, [task("1.jpg", *said)]))
    (found,) = reader.tasks(project)
    names = [each.annotator for each in found.annotations]
    assert names == ["anna@example.org", DELETED_USER, "user 7", "ben@example.org"]


def test_tasks_that_come_while_they_are_read_are_no_error(
    label_studio: LabelStudioServer, reader: AnnotationReader
) -> None:
    id_ = label_studio.add(CONFIG, numbered(60))
    project = reader.project(id_)
    found = reader.tasks(project)
    next(found)
    label_studio.projects[id_].add(numbered(70)[60:])
    assert 1 + sum(1 for _ in found) == 70


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("task_number", 61),
        ("total_annotations_number", 59),
        ("skipped_annotations_number", 1),
    ],
)
def test_a_count_other_than_label_studios_is_an_error(
    label_studio: LabelStudioServer, reader: AnnotationReader, name: str, counted: int
) -> None:
    id_ = label_studio.add(CONFIG, numbered(60))
    label_studio.projects[id_].counts[name] = counted
    with pytest.raises(LabelStudioError, match=f"has {counted} .* were read"):
        list(reader.tasks(reader.project(id_)))


def test_memory_does_not_grow_with_the_number_of_tasks(
    label_studio: LabelStudioServer, reader: AnnotationReader
) -> None:
    peaks = []
    for size in (100, 100, 1000):
        project = reader.project(label_studio.add(CONFIG, numbered(size, note="x" * 20_000)))
        tracemalloc.start()
        assert sum(1 for _ in reader.tasks(project)) == size
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]
