"""SAM 3 by label names: features come from memory, disk or Redis, whichever process made them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.embedding_store.settings import EmbeddingSettings
from segmentation_backend.models.base import Instance, WithStore
from segmentation_backend.models.registry import load_folder
from segmentation_backend.models.sam3 import ConceptModel
from tests.support import tiny_sam3
from tests.support.redis_server import RedisServer, running_redis
from tests.support.sam_upstream import photograph

IMAGE = photograph(90, 60)
PHRASES = {"dress": ("dress",), "accessories": ("bag", "belt")}
FEATURES = 1 + 3
"""Entries of one picture and three phrases."""


class Worker:
    """A process that has just started, and counts what it computes.

    Args:
        folder: Checkpoint.
        settings: Sizes and places of its cache.
        version: Version of the weights.
    """

    def __init__(self, folder: Path, settings: EmbeddingSettings, version: str = "tiny") -> None:
        self.computed: list[str] = []
        self._metrics = EmbeddingMetrics()
        model = load_folder(folder, version, "cpu")
        assert isinstance(model, ConceptModel)
        assert isinstance(model, WithStore)
        for part in ("vision_encoder", "text_encoder"):
            getattr(model.network.network, part).register_forward_pre_hook(self._counting(part))
        self._model = model.with_store(settings, self._metrics)

    def _counting(self, part: str) -> Any:
        return lambda *_: self.computed.append(part)

    def find(self, image: Any = IMAGE) -> list[Instance]:
        return self._model.for_phrases(PHRASES).segment([image])[0]

    def count(self, line: str) -> float:
        text = self._metrics.shared.render().decode()
        return next((float(t.split()[-1]) for t in text.splitlines() if t.startswith(line)), 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam3.save(tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def places(tmp_path: Path, redis: RedisServer) -> dict[str, EmbeddingSettings]:
    """Where two processes share features: each setting alone."""
    redis.client.flushdb()
    usual: dict[str, Any] = {"image_cache_dir": tmp_path, "embedding_cache_mb": 1}
    # What the URL says goes before our own, short time-out: this machine may be busy.
    url = f"{redis.url}?socket_timeout=30&socket_connect_timeout=30"
    return {
        "disk": EmbeddingSettings.model_validate(usual),
        "redis": EmbeddingSettings.model_validate(
            {**usual, "embedding_disk_mb": 0, "redis_url": url}
        ),
    }


def assert_same(found: list[Instance], expected: list[Instance]) -> None:
    assert found
    assert [(e.class_index, e.score) for e in found] == [(e.class_index, e.score) for e in expected]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("place", ["disk", "redis"])
def test_what_one_worker_computed_another_reads(
    folder: Path, places: dict[str, EmbeddingSettings], place: str
) -> None:
    first = Worker(folder, places[place])
    expected = first.find()
    assert first.computed.count("vision_encoder") == 1
    assert first.computed.count("text_encoder") == FEATURES - 1
    second = Worker(folder, places[place])
    assert_same(second.find(), expected)
    assert second.computed == []
    assert second.count(f'segstudio_embeddings_total{{source="{place}"}}') == FEATURES
    second.find()
    assert second.count('segstudio_embeddings_total{source="memory"}') == FEATURES


def test_another_picture_needs_no_text_again_and_other_weights_need_everything(
    folder: Path, places: dict[str, EmbeddingSettings]
) -> None:
    Worker(folder, places["disk"]).find()
    other = Worker(folder, places["disk"])
    other.find(photograph(60, 90))
    assert other.computed == ["vision_encoder"]
    renewed = Worker(folder, places["disk"], "tiny-2")
    renewed.find()
    assert len(renewed.computed) == FEATURES


@pytest.mark.parametrize("place", ["disk", "redis"])
def test_a_damaged_entry_is_dropped_counted_and_computed_again(
    folder: Path, places: dict[str, EmbeddingSettings], place: str, redis: RedisServer
) -> None:
    expected = Worker(folder, places[place]).find()
    for file in places["disk"].embedding_folder.glob("*.embedding"):
        file.write_bytes(file.read_bytes()[:-9] + b"\xff" * 9)
    for key in redis.client.keys("*"):
        redis.client.set(key, b"garbage")
    worker = Worker(folder, places[place])
    assert_same(worker.find(), expected)
    assert len(worker.computed) == FEATURES
    trouble = f'segstudio_embedding_store_trouble_total{{kind="damaged",tier="{place}"}}'
    assert worker.count(trouble) == FEATURES
    after = Worker(folder, places[place])
    assert_same(after.find(), expected)
    assert after.computed == []


def test_the_features_of_many_pictures_stay_within_the_disk_that_they_may_use(
    folder: Path, places: dict[str, EmbeddingSettings]
) -> None:
    settings = places["disk"].model_copy(update={"embedding_disk_mb": 1})
    worker = Worker(folder, settings)
    pictures = [photograph(40 + number, 50) for number in range(8)]  # 172 kB of features each
    for picture in pictures:
        worker.find(picture)
    size = sum(file.stat().st_size for file in settings.embedding_folder.glob("*.embedding"))
    assert 1 << 19 < size <= 1 << 20
    again = Worker(folder, settings)
    again.find(pictures[-1])
    assert "vision_encoder" not in again.computed
    again.find(pictures[0])
    assert "vision_encoder" in again.computed
