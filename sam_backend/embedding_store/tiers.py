"""Embedding store of the backend: looks in each tier, the fastest first."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

import structlog

from ml_backend.lru import LruCache
from sam_backend.embedding_service import EmbeddingKey
from sam_backend.embedding_store.codec import Codec, DamagedError
from sam_backend.embedding_store.disk import DiskStore
from sam_backend.embedding_store.redis_tier import RedisStore
from sam_backend.metrics import SamMetrics
from sam_backend.models.base import Embedder, Embedding
from sam_backend.settings import SamSettings

log = structlog.get_logger(__name__)


class ByteStore(Protocol):
    """Cache of bytes, as long as there is room. Thread-safe; never raises."""

    name: str

    def get(self, key: str) -> bytes | None:
        """Return the bytes; None if they are not cached."""

    def put(self, key: str, data: bytes) -> None:
        """Store bytes."""

    def has(self, key: str) -> bool:
        """Return whether ``get`` would most likely succeed; reads little."""

    def drop(self, key: str) -> None:
        """Remove an entry."""

    def compute_lock(self, key: str) -> AbstractContextManager[None]:
        """Return a lock as ``EmbeddingStore.compute_lock``; one of a dead process is released."""


class TieredStore:
    """``EmbeddingStore`` with memory before slower tiers of bytes.

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
        memory: LruCache[EmbeddingKey, Embedding],
        slower: Sequence[ByteStore],
        codec: Codec,
        metrics: SamMetrics,
    ) -> None:
        self._memory = memory
        self._slower = slower
        self._codec = codec
        self._metrics = metrics

    def of(self, model: Embedder) -> "TieredStore":
        """Return a store of another model's embeddings in the same tiers."""
        return TieredStore(self._memory, self._slower, self._codec.of(model), self._metrics)

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """See ``EmbeddingStore``."""
        if (found := self._memory.get(key)) is not None:
            self._metrics.came_from("memory")
            return found
        for index, tier in enumerate(self._slower):
            data = tier.get(key.name)
            embedding = None if data is None else self._unpack(tier, key, data)
            if data is not None and embedding is not None:
                self._metrics.came_from(tier.name)
                self._memory.put(key, embedding)
                for faster in self._slower[:index]:
                    faster.put(key.name, data)
                return embedding
        return None

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """See ``EmbeddingStore``."""
        self._metrics.came_from("model")
        self._memory.put(key, embedding)
        if self._slower:
            data = self._codec.pack(embedding)
            for tier in self._slower:
                tier.put(key.name, data)

    def has(self, key: EmbeddingKey) -> bool:
        """See ``EmbeddingStore``."""
        return self._memory.has(key) or any(tier.has(key.name) for tier in self._slower)

    @contextmanager
    def compute_lock(self, key: EmbeddingKey) -> Iterator[None]:
        """See ``EmbeddingStore``."""
        with ExitStack() as stack:
            for tier in self._slower:
                stack.enter_context(tier.compute_lock(key.name))
            yield

    def _unpack(self, tier: ByteStore, key: EmbeddingKey, data: bytes) -> Embedding | None:
        try:
            return self._codec.unpack(data)
        except DamagedError as error:
            log.warning("embedding_dropped", tier=tier.name, key=key.name, reason=str(error))
            self._metrics.trouble(tier.name, "damaged")
            tier.drop(key.name)
            return None


def open_store(
    settings: SamSettings, model: Embedder, metrics: SamMetrics | None = None
) -> TieredStore:
    """Return the store that the settings describe; tiers of size 0 are left out.

    Args:
        settings: Sizes and places of the tiers.
        model: Model of the embeddings.
        metrics: Counters; None: nothing is counted.
    """
    metrics = metrics or SamMetrics()

    def trouble(tier: str) -> Callable[[str], None]:
        return lambda kind: metrics.trouble(tier, kind)

    slower: list[ByteStore] = []
    if settings.embedding_disk_mb:
        size = settings.embedding_disk_mb << 20
        slower.append(DiskStore(settings.embedding_folder, size, trouble(DiskStore.name)))
    if settings.redis_url is not None:
        url = settings.redis_url.get_secret_value()
        slower.append(RedisStore(url, trouble(RedisStore.name)))
    memory = LruCache[EmbeddingKey, Embedding](settings.embedding_cache_bytes)
    codec = Codec(model, settings.max_image_pixels)
    return TieredStore(memory, slower, codec, metrics)
