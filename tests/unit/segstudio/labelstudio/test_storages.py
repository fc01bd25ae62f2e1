"""Synchronisations that a Label Studio with a queue of jobs gets done, or not."""

from collections.abc import Iterator

import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from segstudio.labelstudio import storages
from segstudio.labelstudio.storages import Storage, synchronise
from tests.support.label_studio_server import TOKEN, LabelStudioServer


@pytest.fixture
def client(
    label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LabelStudio]:
    monkeypatch.setattr(storages, "_ASK_AGAIN_SECONDS", 0.01)
    with LabelStudio(label_studio.url, TOKEN) as client:
        yield client


def sync(client: LabelStudio) -> Storage:
    target = Storage(id=7, bucket="labels", prefix="", status="initialized", synced=0, problem="")
    return synchronise(client, 3, target)


def test_a_queued_job_is_waited_for(label_studio: LabelStudioServer, client: LabelStudio) -> None:
    label_studio.jobs = [("queued", None), ("in_progress", None), ("completed", None)]
    done = sync(client)
    assert (done.synced, done.problem) == (5, "")


@pytest.mark.timeout(60)
def test_a_job_that_died_is_a_failure_with_label_studios_reason(
    label_studio: LabelStudioServer, client: LabelStudio
) -> None:
    label_studio.jobs = [
        ("in_progress", None),
        ("failed", "It appears\nworkers reloaded unexpectedly."),
    ]
    assert sync(client).problem == "workers reloaded unexpectedly."


@pytest.mark.timeout(60)
def test_a_job_that_nobody_takes_is_not_waited_for_for_ever(
    label_studio: LabelStudioServer, client: LabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_studio.jobs = [("queued", None)]
    monkeypatch.setattr(storages, "_JOB_SECONDS", 0.05)
    with pytest.raises(LabelStudioError, match="gs://labels is still 'queued'") as caught:
        sync(client)
    assert "workers" in caught.value.hint


def test_a_target_that_is_disconnected_meanwhile_is_told(client: LabelStudio) -> None:
    with pytest.raises(LabelStudioError, match="removed from project 3"):
        sync(client)
