"""A cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A value that knows its size."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        ...


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Sized)


class LruCache(Generic[Key, Value]):
    """Keeps the values used last, at most ``max_bytes`` of them; used from any thread.

    Args:
        max_bytes: Bound on the sum of the values' sizes; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._nbytes = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Size of everything kept, in bytes."""
        return self._nbytes

    def get(self, key: Key) -> Value | None:
        """Return the value, now the one used last; None when it is not, or no longer, here."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def has(self, key: Key) -> bool:
        """Return whether the value is cached; does not count as a use."""
        with self._lock:
            return key in self._values

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, dropping those unused for longest; one above ``max_bytes`` is not kept."""
        with self._lock:
            self._remove(key)
            if value.nbytes > self._max_bytes:
                return
            self._values[key] = value
            self._nbytes += value.nbytes
            while self._nbytes > self._max_bytes:
                self._remove(next(iter(self._values)))

    def compute_lock(self, key: Key) -> AbstractContextManager[None]:  # noqa: ARG002
        """Acquire nothing: no other process can compute a value of this cache."""
        return nullcontext()

    def _remove(self, key: Key) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self._nbytes -= value.nbytes
