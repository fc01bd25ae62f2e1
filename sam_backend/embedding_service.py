"""Embeddings on demand: each is made once, however many clicks wait for it, and kept."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from ml_backend.serving.executor import PriorityExecutor, wait_for
from sam_backend.crops import Crop
from sam_backend.models.base import Embedder, Embedding

COMPUTE_SECONDS = 90
"""That another process is waited for, which makes an embedding: as long as a click may take."""


@dataclass(frozen=True)
class EmbeddingKey:
    """What an embedding is of.

    Attributes:
        image: Stands for the image's content, whatever its address (``EncodedImage.identity``).
        model_version: Of the model that made it.
        crop: Part of the image that it is of; None: all of it.
    """

    image: str
    model_version: str
    crop: Crop | None = None

    @property
    def name(self) -> str:
        """The key where keys are text."""
        whole = f"{self.model_version}/{self.image}"
        return whole if self.crop is None else f"{whole}/{self.crop}"


class EmbeddingStore(Protocol):
    """Where embeddings are kept: memory, or slower places behind it. Used from any thread."""

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """The embedding; None when it is not, or no longer, here."""
        ...

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Keep an embedding as long as there is room."""
        ...

    def has(self, key: EmbeddingKey) -> bool:
        """Whether ``get`` would most likely give something; reads little."""
        ...

    def compute_lock(self, key: EmbeddingKey) -> AbstractContextManager[None]:
        """Entered to make what ``get`` may still give: waits while another process makes it."""
        ...


Decode = Callable[[], npt.NDArray[np.uint8]]
"""Gives an image, (H, W, 3) uint8 RGB; raises ImageError."""


@dataclass
class _Flight:
    """An embedding on its way, and how many requests wait for it."""

    future: "Future[Embedding]"
    waiting: int = 0


class EmbeddingService:
    """Gives embeddings from the store, or makes them, one at a time so that clicks stay quick.

    An image is worked on once, however many ask for it: in this process, and in all that share the
    store.

    Args:
        model: Makes them.
        store: Keeps them.
    """

    def __init__(self, model: Embedder, store: EmbeddingStore) -> None:
        self._model = model
        self._store = store
        self._executor = PriorityExecutor("embed")
        self._flights: dict[EmbeddingKey, _Flight] = {}
        self._lock = threading.RLock()

    def lookup(self, key: EmbeddingKey, deadline: Deadline) -> Embedding | None:
        """The embedding if it is in the store, or on its way there for somebody else.

        Raises:
            DeadlineExceededError: It is on its way, but not there by then.
            ImageError: It was on its way, and will not come.
        """
        found = self._store.get(key)
        if found is not None:
            return found
        flight = self._join(key, urgent=True)
        return None if flight is None else self._wait(key, flight, deadline)

    def get_or_compute(self, key: EmbeddingKey, decode: Decode, deadline: Deadline) -> Embedding:
        """The embedding of one image.

        Args:
            key: Image, and this model's version.
            decode: Gives the image; called only where the embedding is not in the store, and once
                for all who wait for it.
            deadline: By when it is needed.

        Raises:
            DeadlineExceededError: It is not ready by then. It is still made, and kept, once begun.
            ImageError: From ``decode``; everyone who waited gets it, nothing is kept.
        """
        found = self._store.get(key)
        if found is not None:
            return found
        return self._wait(key, self._join_or_start(key, decode, urgent=True), deadline)

    def has(self, key: EmbeddingKey, into_memory: bool) -> bool:
        """Whether the embedding need not be made; if asked to, bring it to the fastest tier."""
        return self._store.get(key) is not None if into_memory else self._store.has(key)

    def precompute(self, key: EmbeddingKey, decode: Decode, deadline: Deadline) -> None:
        """Compute an embedding once nobody waits for another.

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
                # Nobody waits any more: what has not begun need not begin.
                if not flight.waiting and flight.future.cancel():
                    del self._flights[key]

    def _make(self, key: EmbeddingKey, decode: Decode) -> Embedding:
        try:
            with self._store.compute_lock(key):
                # It may have come between the look-up of the one who asked and now.
                embedding = self._store.get(key)
                if embedding is None:
                    embedding = self._model.embed(decode()).to_float16()
                    self._store.put(key, embedding)
                return embedding
        finally:
            with self._lock:
                del self._flights[key]
