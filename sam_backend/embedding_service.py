"""Embeddings on demand: each is computed once, however many clicks wait for it, and cached."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from ml_backend.embedding_store.base import Store, compute_once
from ml_backend.serving.executor import PriorityExecutor, wait_for
from sam_backend.crops import Crop
from sam_backend.models.base import Embedder, Embedding


@dataclass(frozen=True)
class EmbeddingKey:
    """Identity of an embedding.

    Attributes:
        image: Content identifier of the image, independent of its address
            (``EncodedImage.identity``).
        model_version: Version of the model that computes it.
        crop: Part of the image; None: the whole image.
    """

    image: str
    model_version: str
    crop: Crop | None = None

    @property
    def name(self) -> str:
        """Key as text."""
        whole = f"{self.model_version}/{self.image}"
        return whole if self.crop is None else f"{whole}/{self.crop}"


EmbeddingStore = Store[Embedding]
"""Cache of embeddings, by the name of their key."""

Decode = Callable[[], npt.NDArray[np.uint8]]
"""Returns an image, (H, W, 3) uint8 RGB; raises ImageError."""


@dataclass
class _Flight:
    """An embedding being computed, and the number of requests that wait for it."""

    future: "Future[Embedding]"
    waiting: int = 0


class EmbeddingService:
    """Returns embeddings from the store, or computes them one at a time so that clicks stay fast.

    An image is encoded once, however many requests ask for it, in this process and in all that
    share the store.

    Args:
        model: Model that computes embeddings.
        store: Cache of embeddings.
    """

    def __init__(self, model: Embedder, store: EmbeddingStore) -> None:
        self._model = model
        self._store = store
        self._executor = PriorityExecutor("embed")
        self._flights: dict[EmbeddingKey, _Flight] = {}
        self._lock = threading.RLock()

    def lookup(self, key: EmbeddingKey, deadline: Deadline) -> Embedding | None:
        """Return the embedding if it is cached, or being computed for another request; else None.

        Raises:
            DeadlineExceededError: It is being computed, but not done in time.
            ImageError: The computation failed.
        """
        found = self._store.get(key.name)
        if found is not None:
            return found
        flight = self._join(key, urgent=True)
        return None if flight is None else self._wait(key, flight, deadline)

    def get_or_compute(self, key: EmbeddingKey, decode: Decode, deadline: Deadline) -> Embedding:
        """Return the embedding of an image.

        Args:
            key: Image, and the version of this model.
            decode: Returns the image; called only if the embedding is not cached, and once for all
                requests that wait for it.
            deadline: Deadline of the caller.

        Raises:
            DeadlineExceededError: It is not ready in time; if begun, it is still completed and
                cached.
            ImageError: ``decode`` failed; raised in all waiting requests, and not cached.
        """
        found = self._store.get(key.name)
        if found is not None:
            return found
        return self._wait(key, self._join_or_start(key, decode, urgent=True), deadline)

    def has(self, key: EmbeddingKey, into_memory: bool) -> bool:
        """Return whether the embedding is cached; optionally move it to the fastest tier."""
        return self._store.get(key.name) is not None if into_memory else self._store.has(key.name)

    def precompute(self, key: EmbeddingKey, decode: Decode, deadline: Deadline) -> None:
        """Compute an embedding when no other request is waiting.

        Arguments and errors are those of ``get_or_compute``.
        """
        self._wait(key, self._join_or_start(key, decode, urgent=False), deadline)

    def _join_or_start(self, key: EmbeddingKey, decode: Decode, urgent: bool) -> _Flight:
        with self._lock:
            flight = self._join(key, urgent)
            if flight is None:
                future = self._executor.submit(lambda: self._make(key, decode), urgent)
                flight = self._flights[key] = _Flight(future, waiting=1)
            return flight

    def _join(self, key: EmbeddingKey, urgent: bool) -> _Flight | None:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                flight.waiting += 1
                if urgent:
                    self._executor.hurry(flight.future)
            return flight

    def _wait(self, key: EmbeddingKey, flight: _Flight, deadline: Deadline) -> Embedding:
        try:
            return wait_for(flight.future, deadline)
        finally:
            with self._lock:
                flight.waiting -= 1
                # No request waits any more: a job that has not begun is cancelled.
                if not flight.waiting and flight.future.cancel():
                    del self._flights[key]

    def _make(self, key: EmbeddingKey, decode: Decode) -> Embedding:
        try:
            return compute_once(
                self._store, key.name, lambda: self._model.embed(decode()).to_float16()
            )
        finally:
            with self._lock:
                del self._flights[key]
