"""Embeddings on demand: each is made once, however many clicks wait for it, and kept."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from sam_backend.lanes import Lane, result_of
from sam_backend.models.base import Embedding, PromptableModel


@dataclass(frozen=True)
class EmbeddingKey:
    """What an embedding is of.

    Attributes:
        digest: SHA-256 of the encoded image, as hex: the content, whatever its address.
        model_version: Of the model that made it.
    """

    digest: str
    model_version: str


class EmbeddingStore(Protocol):
    """Where embeddings are kept: memory, or slower places behind it. Used from any thread."""

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """The embedding; None when it is not, or no longer, here."""
        ...

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Keep an embedding as long as there is room."""
        ...


@dataclass
class _Flight:
    """An embedding on its way, and how many requests wait for it."""

    future: Future[Embedding]
    waiting: int = 0


class Embeddings:
    """Gives embeddings from the store, or makes them, one at a time so that clicks stay quick.

    Args:
        model: Makes them.
        store: Keeps them.
    """

    def __init__(self, model: PromptableModel, store: EmbeddingStore) -> None:
        self._model = model
        self._store = store
        self._lane = Lane("embed")
        self._flights: dict[EmbeddingKey, _Flight] = {}
        self._lock = threading.Lock()

    def get(
        self, key: EmbeddingKey, decode: Callable[[], npt.NDArray[np.uint8]], deadline: Deadline
    ) -> Embedding:
        """The embedding of one image.

        Args:
            key: Image, and this model's version.
            decode: Gives the image, (H, W, 3) uint8 RGB; called only where the embedding is not in
                the store, and once for all who wait for it.
            deadline: By when it is needed.

        Raises:
            BudgetError: It is not ready by then. It is still made, and kept, once begun.
            ImageError: From ``decode``; everyone who waited gets it, nothing is kept.
        """
        found = self._store.get(key)
        if found is not None:
            return found
        with self._join(key, decode) as future:
            return result_of(future, deadline)

    @contextmanager
    def _join(
        self, key: EmbeddingKey, decode: Callable[[], npt.NDArray[np.uint8]]
    ) -> Iterator[Future[Embedding]]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                flight = _Flight(self._lane.submit(lambda: self._make(key, decode)))
                self._flights[key] = flight
            flight.waiting += 1
        try:
            yield flight.future
        finally:
            with self._lock:
                flight.waiting -= 1
                # Nobody waits any more: what has not begun need not begin.
                if not flight.waiting and flight.future.cancel():
                    del self._flights[key]

    def _make(self, key: EmbeddingKey, decode: Callable[[], npt.NDArray[np.uint8]]) -> Embedding:
        try:
            # It may have come between the look-up of the one who asked and now.
            embedding = self._store.get(key)
            if embedding is None:
                embedding = self._model.embed(decode())
                self._store.put(key, embedding)
            return embedding
        finally:
            with self._lock:
                del self._flights[key]
