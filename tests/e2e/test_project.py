"""The project, on a real Label Studio."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio, NewProject
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.local.demo_project import TEMPLATE, add_photographs, find_or_create, samples_for
from segstudio.local.images import find_photographs
from tests.e2e.test_lifecycle import backend_urls
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def api(studio: Studio) -> Iterator[LabelStudio]:
    with studio.api() as api:
        yield api


@pytest.fixture
def project(api: LabelStudio) -> int:
    return find_or_create(api, None, TEMPLATE.read_text())


def test_a_project_is_found_again_until_it_is_deleted(
    studio: Studio, api: LabelStudio, project: int
) -> None:
    assert find_or_create(api, project, TEMPLATE.read_text()) == project
    studio.request("DELETE", f"/api/projects/{project}")
    assert find_or_create(api, project, TEMPLATE.read_text()) != project


def test_joining_again_changes_nothing(studio: Studio, api: LabelStudio, project: int) -> None:
    connect_backends(api, project, BackendPair(*backend_urls(studio)))
    first = api.connections(project)
    connect_backends(api, project, BackendPair(*backend_urls(studio)))
    assert api.connections(project) == first


def test_the_segmentation_backend_comes_first_even_where_it_was_removed(
    studio: Studio, api: LabelStudio, project: int
) -> None:
    connect_backends(api, project, BackendPair(*backend_urls(studio)))
    studio.request("DELETE", f"/api/ml/{min(api.connections(project))}")
    connect_backends(api, project, BackendPair(*backend_urls(studio)))
    assert [each.url for each in api.connections(project).values()] == backend_urls(studio)


def test_photographs_are_imported_once_however_often_they_are_given(
    studio: Studio, api: LabelStudio, project: int
) -> None:
    photographs = find_photographs(studio.images)
    steps: list[tuple[int, int]] = []
    add_photographs(api, project, photographs * 2, lambda *step: steps.append(step))
    add_photographs(api, project, photographs, lambda *step: steps.append(step))
    assert len(list(api.task_metas(project))) == len(photographs)
    assert steps == [(len(photographs), len(photographs))]


def test_an_empty_project_gets_samples_and_one_with_tasks_does_not(
    api: LabelStudio, project: int, tmp_path: Path
) -> None:
    samples = samples_for(api, project, tmp_path)
    add_photographs(api, project, samples, lambda *_: None)
    assert api.project(project).tasks == 6
    assert samples_for(api, project, tmp_path) == []


def test_a_label_config_that_a_backend_cannot_serve_is_told_in_its_words(
    studio: Studio, api: LabelStudio
) -> None:
    config = '<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>'
    project = api.create_project(NewProject("Words", config))
    with pytest.raises(LabelStudioError, match="422"):
        connect_backends(api, project, BackendPair(*backend_urls(studio)))


def test_a_wrong_token_is_told_as_such(studio: Studio) -> None:
    with (
        LabelStudio(studio.url, "0" * 40) as stranger,
        pytest.raises(LabelStudioError, match="token"),
    ):
        stranger.user()
