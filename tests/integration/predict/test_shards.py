"""Shards hold each image once, in a folder and in a bucket, whatever happens on the way."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from segstudio.data.store import Folder, Store, open_store
from segstudio.data.tables import TableError
from segstudio.gcs.client import GoogleSettings
from segstudio.gcs.objects import BucketError
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome
from segstudio.predict.job import pending_items
from segstudio.predict.shard_sink import About, ShardSink
from segstudio.predict.shard_table import ShardFormat, ShardTable, is_shards, tasks_in
from tests.support.gcs_server import GcsServer

ABOUT = About("model-1", "digest")
NUMBERS = count()


@pytest.fixture
def bucket(environment: pytest.MonkeyPatch, cloud: GcsServer) -> Iterator[str]:
    """Name of a new bucket, that is in order again after the test."""
    name = f"labels-{next(NUMBERS)}"
    cloud.add_bucket(name)
    yield name
    cloud.fault = cloud.lost_answer = lambda _method, _path: None


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Folder(tmp_path)
    name = request.getfixturevalue("bucket")
    return open_store(f"gs://{name}/run/1", GoogleSettings())


def outcome(name: str, generation: int = 1) -> Outcome:
    item = Item(
        json.dumps([name, generation]),
        f"gs://looks/{name}",
        {"identifier": name, "image": f"gs://looks/{name}"},
        {"identifier": name},
    )
    return Outcome(item, {"result": [], "score": generation / 8, "model_version": "model-1"})


def scores(store: Store) -> list[tuple[str, float]]:
    """Identifier and score of each task in all shards."""
    found = []
    for name in store.names("shards"):
        content = store.read(f"shards/{name}")
        assert content is not None
        for task in tasks_in(content, ShardFormat(name.rpartition(".")[2])):
            found.append((task["meta"]["identifier"], task["predictions"][0]["score"]))
    return sorted(found)


def opened(store: Store, kind: ShardFormat = ShardFormat.JSONL) -> ShardSink:
    """What another run finds."""
    return ShardSink(store, kind, ABOUT)


@pytest.mark.parametrize("kind", ShardFormat)
def test_shards_are_read_as_a_table_from_wherever_they_are(
    bucket: str, tmp_path: Path, kind: ShardFormat
) -> None:
    google = GoogleSettings()
    for place in (f"gs://{bucket}/run", str(tmp_path / "run")):
        opened(open_store(place, google), kind).write([outcome("a"), outcome("b", 2)])
        for given in (place, f"{place}/shards", f"{place}/shards/part-000000.{kind}"):
            assert is_shards(given)
            rows = list(ShardTable(given, google))
            assert [row.values["identifier"] for row in rows] == ["a", "b"]
            assert [row.predictions[0]["score"] for row in rows] == [0.125, 0.25]
    with pytest.raises(TableError, match=f"no shards in gs://{bucket}/other"):
        ShardTable(f"gs://{bucket}/other", google)


@pytest.mark.parametrize("kind", ShardFormat)
def test_an_image_that_has_changed_takes_its_own_place(store: Store, kind: ShardFormat) -> None:
    shards = opened(store, kind)
    shards.write([outcome("a"), outcome("b")])
    shards.write([outcome("c")])
    shards = opened(store, kind)
    assert len(list(shards.done())) == 3
    shards.write([outcome("a", 2), outcome("c", 2), outcome("d", 2)])
    assert scores(store) == [("a", 0.25), ("b", 0.125), ("c", 0.25), ("d", 0.25)]
    done = sorted(opened(store, kind).done())
    assert done == [outcome(*each).item.key for each in (("a", 2), ("b",), ("c", 2), ("d", 2))]


@pytest.mark.parametrize("taken", range(3))
def test_a_shard_that_was_taken_away_is_made_anew_beside_the_others(
    tmp_path: Path, taken: int
) -> None:
    everything = [outcome(name) for name in "abc"]
    store = Folder(tmp_path / "run")
    shards = opened(store)
    for each in everything:
        shards.write([each])
    (tmp_path / "run" / "shards" / f"part-00000{taken}.jsonl").unlink()

    shards = opened(store)
    failures = Failures(store, "failed.csv", retry=False)
    todo = list(
        pending_items([each.item for each in everything], shards.done(), failures, Counter())
    )
    assert [item.key for item in todo] == [everything[taken].item.key]
    shards.write([everything[taken]])
    assert [name for name, _ in scores(store)] == ["a", "b", "c"]
    assert len(set(opened(store).done())) == 3


def test_shards_of_another_model_are_left_alone(store: Store) -> None:
    opened(store).write([outcome("a")])
    with pytest.raises(TableError, match="holds predictions of model-1"):
        ShardSink(store, ShardFormat.JSONL, About("model-2", "digest"))


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_shard_that_a_bucket_refuses_does_not_count(
    bucket: str, cloud: GcsServer, refused: int
) -> None:
    store = open_store(f"gs://{bucket}/run", GoogleSettings())
    uploads = count()
    cloud.fault = lambda method, _path: (
        403 if method == "POST" and next(uploads) == refused else None
    )
    with pytest.raises(BucketError, match="fault 403"):
        opened(store).write([outcome("a"), outcome("b")])
    assert list(opened(store).done()) == []
    opened(store).write([outcome("a"), outcome("b")])
    assert [name for name, _ in scores(store)] == ["a", "b"]


def test_an_answer_that_gets_lost_doubles_nothing(bucket: str, cloud: GcsServer) -> None:
    calls = count()
    cloud.lost_answer = lambda _method, _path: 503 if next(calls) % 3 == 1 else None
    store = open_store(f"gs://{bucket}/run", GoogleSettings())
    opened(store).write([outcome("a"), outcome("b")])
    assert scores(store) == [("a", 0.125), ("b", 0.125)]
    assert len(list(opened(store).done())) == 2
