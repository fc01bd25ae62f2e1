"""Embedding store of a backend: looks in each tier, the fastest first."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Generic

import structlog

from ml_backend.embedding_store.base import ByteStore, Codec, DamagedError, Value
from ml_backend.embedding_store.disk import DiskStore
from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.embedding_store.redis_tier import RedisStore
from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.lru import LruCache

log = structlog.get_logger(__name__)


class TieredStore(Generic[Value]):
    """``Store`` with memory before slower tiers of bytes.

    Entries found in a slower tier are copied to the faster ones. Invalid entries are dropped,
    counted and treated as missing.

    Args:
        memory: Cache of the most recently used embeddings.
        slower: Slower tiers, the fastest first.
        codec: Codec of the model's embeddings.
        metrics: Counters of sources and trouble.
    """

    def __init__(
        self,
        memory: LruCache[str, Value],
        slower: Sequence[ByteStore],
        codec: Codec[Value],
        metrics: EmbeddingMetrics,
    ) -> None:
        self._memory = memory
        self._slower = slower
        self._codec = codec
        self._metrics = metrics

    def of(self, codec: Codec[Value]) -> "TieredStore[Value]":
        """Return a store of other embeddings, with keys of their own, in the same tiers."""
        return TieredStore(self._memory, self._slower, codec, self._metrics)

    def get(self, key: str) -> Value | None:
        """See ``Store``."""
        if (found := self._memory.get(key)) is not None:
            self._metrics.came_from("memory")
            return found
        for index, tier in enumerate(self._slower):
            data = tier.get(key)
            value = None if data is None else self._unpack(tier, key, data)
            if data is not None and value is not None:
                self._metrics.came_from(tier.name)
                self._memory.put(key, value)
                for faster in self._slower[:index]:
                    faster.put(key, data)
                return value
        return None

    def put(self, key: str, value: Value) -> None:
        """See ``Store``."""
        self._metrics.came_from("model")
        self._memory.put(key, value)
        if self._slower:
            data = self._codec.pack(value)
            for tier in self._slower:
                tier.put(key, data)

    def has(self, key: str) -> bool:
        """See ``Store``."""
        return self._memory.has(key) or any(tier.has(key) for tier in self._slower)

    @contextmanager
    def compute_lock(self, key: str) -> Iterator[None]:
        """See ``Store``."""
        with ExitStack() as stack:
            for tier in self._slower:
                stack.enter_context(tier.compute_lock(key))
            yield

    def _unpack(self, tier: ByteStore, key: str, data: bytes) -> Value | None:
        try:
            return self._codec.unpack(data)
        except DamagedError as error:
            log.warning("embedding_dropped", tier=tier.name, key=key, reason=str(error))
            self._metrics.trouble(tier.name, "damaged")
            tier.drop(key)
            return None


def open_store(
    settings: EmbeddingSettings,
    codec: Codec[Value],
    metrics: EmbeddingMetrics | None = None,
    answer_seconds: float | None = None,
) -> TieredStore[Value]:
    """Return the store that the settings describe; tiers of size 0 are left out.

    Args:
        settings: Sizes and places of the tiers.
        codec: Codec of the embeddings.
        metrics: Counters; None: nothing is counted.
        answer_seconds: Seconds to wait for an answer of Redis; None: as long as a click may.
    """
    metrics = metrics or EmbeddingMetrics()

    def trouble(tier: str) -> Callable[[str], None]:
        return lambda kind: metrics.trouble(tier, kind)

    slower: list[ByteStore] = []
    if size := settings.embedding_disk_bytes:
        slower.append(DiskStore(settings.embedding_folder, size, trouble(DiskStore.name)))
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        tell = trouble(RedisStore.name)
        slower.append(RedisStore(url, tell, answer_seconds=answer_seconds))
    memory = LruCache[str, Value](settings.embedding_cache_bytes)
    return TieredStore(memory, slower, codec, metrics)
