"""Memory before disk before Redis: what is kept comes back, and what is damaged does not."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from ml_backend.embedding_store.base import COMPUTE_SECONDS, DamagedError
from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.embedding_store.redis_tier import KEPT_SECONDS, LARGEST, RedisStore
from ml_backend.embedding_store.tiers import open_store
from ml_backend.serving.metrics import Metrics
from sam_backend.embedding_codec import EmbeddingCodec
from sam_backend.embedding_service import EmbeddingKey, EmbeddingService, EmbeddingStore
from sam_backend.models.base import Embedding
from sam_backend.settings import SamSettings
from tests.support.redis_server import RedisServer, running_redis
from tests.support.scenes import FillModel, draw, soon, wait_until
from tests.support.waiting import eventually

KEY = EmbeddingKey("a" * 64, FillModel.version)
SCENE = draw([(30, 30, 10)])
CODEC = EmbeddingCodec(FillModel(), 10**6)
PACKED = CODEC.pack(FillModel().embed(SCENE))
NOTHING = {"embedding_cache_mb": 0}

Open = Callable[..., tuple[EmbeddingStore, Metrics]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(running: RedisServer, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """Holds nothing, and is waited for on a busy machine."""
    for limit in ("_CONNECT_SECONDS", "_ANSWER_SECONDS", "_ALIVE_SECONDS"):
        monkeypatch.setattr(f"ml_backend.embedding_store.redis_tier.{limit}", 30)
    running.client.flushdb()
    return running


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """A store of its own as a process that has just started opens it, and what it counts."""

    def make(**changes: object) -> tuple[EmbeddingStore, Metrics]:
        metrics = Metrics()
        usual: dict[str, object] = {"image_cache_dir": tmp_path / "images"}
        chosen = SamSettings.model_validate(usual | changes)
        return open_store(chosen, CODEC, EmbeddingMetrics(metrics)), metrics

    return make


def embedding(seed: int = 0) -> Embedding:
    scene = SCENE.copy()
    scene[0, 0] = seed
    return FillModel().embed(scene)


def shown(found: Embedding | None) -> bytes:
    assert found
    return np.asarray(found.tensors["image"]).tobytes()


def count(metrics: Metrics, line: str) -> float:
    """The value of a counter by its name and labels; 0 where it was never told."""
    for each in metrics.render().decode().splitlines():
        if each.startswith(line + " "):
            return float(each.rpartition(" ")[2])
    return 0


def trouble(metrics: Metrics, tier: str, kind: str) -> float:
    name = "segstudio_embedding_store_trouble_total"
    return count(metrics, f'{name}{{kind="{kind}",tier="{tier}"}}')


def source(metrics: Metrics, name: str) -> float:
    return count(metrics, f'segstudio_embeddings_total{{source="{name}"}}')


def test_after_a_restart_an_embedding_comes_from_disk_and_then_from_memory(opened: Open) -> None:
    opened()[0].put(KEY.name, embedding(7))
    store, metrics = opened()
    assert store.has(KEY.name)
    assert shown(store.get(KEY.name)) == shown(store.get(KEY.name)) == shown(embedding(7))
    assert (source(metrics, "disk"), source(metrics, "memory")) == (1, 1)


def test_another_model_finds_nothing(opened: Open) -> None:
    opened()[0].put(KEY.name, embedding())
    other = EmbeddingKey(KEY.image, "fill-2")
    assert opened()[0].get(other.name) is None
    assert not opened()[0].has(other.name)


def test_the_disk_is_bounded_and_what_was_unused_for_longest_goes_first(opened: Open) -> None:
    store, _ = opened(**NOTHING, embedding_disk_mb=1)
    keys = [EmbeddingKey(f"{index:064d}", FillModel.version) for index in range(60)]
    for index, key in enumerate(keys):
        store.put(key.name, embedding(index))
    kept = [key for key in keys if store.has(key.name)]
    assert len(kept) == (1 << 20) // (len(PACKED) + 32)
    assert kept == keys[-len(kept) :]


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, PACKED, PACKED[:-1]], ids=len)
def test_a_damaged_file_is_dropped_and_counted_and_made_anew(
    opened: Open, tmp_path: Path, damage: bytes
) -> None:
    opened()[0].put(KEY.name, embedding())
    (file,) = (tmp_path / "images" / "embeddings").iterdir()
    file.write_bytes(damage)
    store, metrics = opened()
    assert store.get(KEY.name) is None
    assert trouble(metrics, "disk", "damaged") == 1
    assert not file.exists()
    store.put(KEY.name, embedding())
    assert shown(opened()[0].get(KEY.name)) == shown(embedding())


@contextmanager
def full_disk() -> Iterator[None]:
    """This process can write no file of more than 16 kB: less than an embedding."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_nothing_and_hurts_nobody(opened: Open, tmp_path: Path) -> None:
    store, metrics = opened(embedding_disk_dir=tmp_path)
    with full_disk():
        store.put(KEY.name, embedding(3))
    assert shown(store.get(KEY.name)) == shown(embedding(3))
    assert trouble(metrics, "disk", "full") == 1
    assert list(tmp_path.iterdir()) == []
    store.put(KEY.name, embedding(3))
    assert shown(opened(embedding_disk_dir=tmp_path)[0].get(KEY.name)) == shown(embedding(3))


@pytest.mark.parametrize("parent", ["file", "/sys"])
def test_a_folder_that_takes_no_files_hurts_nobody(
    opened: Open, tmp_path: Path, parent: str
) -> None:
    """Below a file there is no folder; in ``/sys`` nobody can make a file, root neither."""
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / parent, tmp_path / parent / "embeddings"):
        store, metrics = opened(embedding_disk_dir=folder)
        service = EmbeddingService(FillModel(), store)
        assert shown(service.get_or_compute(KEY, lambda: SCENE, soon()))
        assert store.has(KEY.name)
        assert trouble(metrics, "disk", "full") == 1


def test_replicas_share_through_redis_and_keep_what_they_got_on_their_own_disk(
    opened: Open, redis: RedisServer, tmp_path: Path
) -> None:
    one, _ = opened(redis_url=redis.url, embedding_disk_dir=tmp_path / "one")
    one.put(KEY.name, embedding(9))
    other, metrics = opened(redis_url=redis.url, embedding_disk_dir=tmp_path / "other")
    assert other.has(KEY.name)
    assert shown(other.get(KEY.name)) == shown(embedding(9))
    assert source(metrics, "redis") == 1
    alone, _ = opened(embedding_disk_dir=tmp_path / "other")
    assert shown(alone.get(KEY.name)) == shown(embedding(9))


@pytest.mark.parametrize("shared", ["disk", "redis"])
def test_of_two_processes_that_begin_at_once_one_makes_it_and_the_other_waits(
    shared: str, opened: Open, redis: RedisServer
) -> None:
    where = {"disk": {}, "redis": {"embedding_disk_mb": 0, "redis_url": redis.url}}[shared]
    slow, idle = FillModel(), FillModel()
    slow.may_embed.clear()
    first, second = (EmbeddingService(model, opened(**where)[0]) for model in (slow, idle))
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first.get_or_compute, KEY, lambda: SCENE, soon())
        wait_until(lambda: bool(slow.embedded))
        other = pool.submit(second.get_or_compute, KEY, lambda: SCENE, soon())
        assert not wait([other], timeout=0.5).done
        slow.may_embed.set()
        assert shown(one.result()) == shown(other.result())
    assert not idle.embedded


def test_one_that_died_at_it_is_not_waited_for_long(opened: Open, redis: RedisServer) -> None:
    store, _ = opened(embedding_disk_mb=0, redis_url=redis.url)
    begun = time.monotonic()
    redis.client.set(f"segstudio:embedding:{KEY.name}:making", "of the dead", px=500)
    assert EmbeddingService(FillModel(), store).get_or_compute(KEY, lambda: SCENE, soon())
    assert 0.4 < time.monotonic() - begun < COMPUTE_SECONDS / 3


def test_one_that_takes_long_is_waited_for_as_long_as_it_is_alive(
    opened: Open, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml_backend.embedding_store.redis_tier._ALIVE_SECONDS", 6)
    store, _ = opened(embedding_disk_mb=0, redis_url=redis.url)
    name = f"segstudio:embedding:{KEY.name}:making"
    left = [6000]

    def renewed() -> bool:
        left.append(redis.client.pttl(name))
        return left[-1] > left[-2]

    with store.compute_lock(KEY.name):
        token = redis.client.get(name)
        assert token
        for _ in range(2):
            eventually(renewed, 30)
        assert redis.client.get(name) == token
    assert not redis.client.exists(name)


def test_what_lies_in_redis_unused_for_a_week_is_gone(opened: Open, redis: RedisServer) -> None:
    store, _ = opened(redis_url=redis.url, embedding_disk_mb=0, **NOTHING)
    store.put(KEY.name, embedding())
    (name,) = redis.client.keys("*")
    redis.client.expire(name, 60)
    store.get(KEY.name)
    assert KEPT_SECONDS - 60 < redis.client.ttl(name) <= KEPT_SECONDS


@pytest.mark.parametrize(
    "value", [b"x", PACKED[:-1], PACKED * 2, b"\x80\x04cos\nsystem\n"], ids=len
)
def test_redis_is_not_believed(opened: Open, redis: RedisServer, value: bytes) -> None:
    store, metrics = opened(redis_url=redis.url, embedding_disk_mb=0)
    redis.client.set(f"segstudio:embedding:{KEY.name}", value)
    assert store.get(KEY.name) is None
    assert trouble(metrics, "redis", "damaged") == 1
    assert not redis.client.exists(f"segstudio:embedding:{KEY.name}")


def test_of_a_value_beyond_all_measure_no_more_is_read_than_an_embedding_may_have(
    redis: RedisServer,
) -> None:
    tier = RedisStore(redis.url, lambda _: None)
    redis.client.setrange("segstudio:embedding:large", LARGEST + 10, b"end")
    data = tier.get("large")
    assert data is not None
    assert len(data) == LARGEST + 1
    tier.drop("large")


def test_without_redis_clicks_go_on_and_with_it_back_it_is_used_again(
    opened: Open, tmp_path: Path
) -> None:
    told: list[str] = []
    (tmp_path / "own").mkdir()
    with running_redis(tmp_path / "own") as own:
        tier = RedisStore(own.url, lambda _: None, back_off_seconds=0.2)
        resting = RedisStore(own.url, told.append, back_off_seconds=3600)
        tier.put("a", b"1")
        assert resting.get("a") == b"1"
        own.kill()
        assert tier.get("a") is None
        assert resting.get("a") is None
        for _ in range(10):  # these do not even try
            resting.put("a", b"2")
        assert told == ["gone"]
        own.start()

        def works() -> bool:
            tier.put("b", b"3")
            return tier.get("b") == b"3"

        eventually(works, 30)


def test_a_redis_that_hangs_costs_the_time_of_one_answer_and_then_nothing() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        tier = RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}", told.append, 60)
        assert tier.get("a") is None
        tier.put("a", b"1")
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert told == ["gone"]


def test_a_connection_that_was_closed_while_nobody_used_it_costs_nothing(
    redis: RedisServer,
) -> None:
    told: list[str] = []
    tier = RedisStore(redis.url, told.append)
    tier.put("a", b"1")
    assert redis.client.client_kill_filter(_type="normal", skipme=True) >= 1
    assert tier.get("a") == b"1"
    assert told == []


def test_a_redis_that_refuses_writes_is_still_read(redis: RedisServer) -> None:
    told: list[str] = []
    tier = RedisStore(redis.url, told.append)
    tier.put("a", b"1")
    redis.client.config_set("maxmemory", "1")
    try:
        tier.put("b", b"2")
        assert told == ["refused"]
        assert tier.get("a") == b"1"
    finally:
        redis.client.config_set("maxmemory", "0")


@given(st.data())
def test_bytes_of_any_kind_are_an_embedding_or_are_damaged(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, 400))
    put = data.draw(st.binary(max_size=20))
    cut = data.draw(st.integers(0, len(PACKED)))
    changed = (PACKED[:position] + put + PACKED[position + len(put) :])[cut if cut < 9 else 0 :]
    try:
        found = CODEC.unpack(changed)
    except DamagedError:
        return
    assert found.tensors["image"].shape == (found.height, found.width, 3)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"image": torch.zeros(96, 128, 3, dtype=torch.uint8)},
        {"image": torch.zeros(96, 128, 3), "image_size": torch.tensor([96, 128])},
        {"image": torch.zeros(9, 128, 3, dtype=torch.uint8), "image_size": torch.tensor([96, 128])},
        {
            "image": torch.zeros(1, dtype=torch.uint8),
            "image_size": torch.tensor([1 << 40, 1 << 40]),
        },
        {"image": torch.zeros(0, dtype=torch.uint8), "image_size": torch.tensor([0, -5])},
    ],
    ids=["nothing", "no size", "type", "shape", "size", "negative"],
)
def test_safetensors_of_another_kind_are_damaged(tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(DamagedError):
        CODEC.unpack(save(tensors))
