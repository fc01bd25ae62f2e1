"""Interfaces of the embedding store and of its parts."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from ml_backend.lru import Sized

COMPUTE_SECONDS = 90
"""Seconds to wait for another process that computes an embedding: the time limit of a click."""

Value = TypeVar("Value", bound=Sized)


class DamagedError(Exception):
    """The bytes are not an embedding of this model."""


class Store(Protocol[Value]):
    """Cache of embeddings: memory, with slower tiers behind it. Thread-safe.

    A key names the version of the model, what it encoded, and how.
    """

    def get(self, key: str) -> Value | None:
        """Return an embedding; None if it is not cached."""
        ...

    def put(self, key: str, value: Value) -> None:
        """Store an embedding as long as there is room."""
        ...

    def has(self, key: str) -> bool:
        """Return whether ``get`` would most likely succeed; reads little."""
        ...

    def compute_lock(self, key: str) -> AbstractContextManager[None]:
        """Return a lock for computing an embedding; waits while another process computes it."""
        ...


class Codec(Protocol[Value]):
    """Encodes embeddings of a model, and validates them on decoding."""

    def pack(self, value: Value) -> bytes:
        """Encode an embedding."""
        ...

    def unpack(self, data: bytes) -> Value:
        """Decode an embedding onto the model's device.

        Raises:
            DamagedError: The bytes are not an embedding of this model.
        """
        ...


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
        """Return a lock as ``Store.compute_lock``; one of a dead process is released."""


def compute_once(store: Store[Value], key: str, compute: Callable[[], Value]) -> Value:
    """Return an embedding from the store; else compute it, in one of the processes at a time."""
    found = store.get(key)
    if found is not None:
        return found
    with store.compute_lock(key):
        # Another process may have stored it since the look-up.
        found = store.get(key)
        if found is None:
            found = compute()
            store.put(key, found)
        return found
