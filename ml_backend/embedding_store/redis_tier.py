"""Redis cache of embeddings, shared by replicas."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Event, Thread
from typing import TypeVar

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as GoneError
from redis.exceptions import LockNotOwnedError, RedisError
from redis.exceptions import TimeoutError as LateError
from redis.lock import Lock
from redis.retry import Retry

from ml_backend.embedding_store.base import COMPUTE_SECONDS

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

LARGEST = 128 << 20
"""Maximum bytes of a value; a larger one is not an embedding, and is not read."""

KEPT_SECONDS = 7 * 24 * 3600
"""Seconds since the last use until an entry expires; ``allkeys-lru`` may evict it earlier."""

_ALIVE_SECONDS = 5
"""Seconds without a sign of life after which a process that holds a lock is not waited for."""

_CONNECT_SECONDS = 0.5
_ANSWER_SECONDS = 1.0


class RedisStore:
    """Redis client that never raises and never waits long; without Redis, it is empty.

    After an error it backs off, so that during an outage at most one click waits for a time-out;
    then it retries.

    Args:
        url: Address as ``redis://``, ``rediss://`` or ``unix://``.
        tell: Called with the kind of trouble: ``gone`` or ``refused``.
        back_off_seconds: Seconds between two tries during an outage.
        answer_seconds: Seconds to wait for an answer; None: as long as a click may.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        tell: Callable[[str], None],
        back_off_seconds: float = 5,
        answer_seconds: float | None = None,
    ) -> None:
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=answer_seconds or _ANSWER_SECONDS,
            # No retry: it would double the delay of a click, and connections that were closed while
            # idle are reopened anyway.
            retry=Retry(NoBackoff(), 0),
        )
        self._tell = tell
        self._back_off_seconds = back_off_seconds
        self._backs_off_until: float | None = None

    def get(self, key: str) -> bytes | None:
        """See ``ByteStore``."""

        def ask() -> bytes:
            with self._client.pipeline(transaction=False) as pipe:
                pipe.getrange(_redis_key(key), 0, LARGEST)
                pipe.expire(_redis_key(key), KEPT_SECONDS)
                return bytes(pipe.execute()[0])

        return self._call(ask, b"") or None

    def put(self, key: str, data: bytes) -> None:
        """See ``ByteStore``."""
        if len(data) <= LARGEST:
            self._call(lambda: self._client.set(_redis_key(key), data, ex=KEPT_SECONDS), None)

    def has(self, key: str) -> bool:
        """See ``ByteStore``."""
        return bool(self._call(lambda: self._client.exists(_redis_key(key)), 0))

    def drop(self, key: str) -> None:
        """See ``ByteStore``."""
        self._call(lambda: self._client.delete(_redis_key(key)), None)

    @contextmanager
    def compute_lock(self, key: str) -> Iterator[None]:
        """See ``ByteStore``."""
        name = f"{_redis_key(key)}:making"
        lock = self._client.lock(name, _ALIVE_SECONDS, sleep=0.05, thread_local=False)
        with ExitStack() as stack:
            if self._call(lambda: lock.acquire(blocking_timeout=COMPUTE_SECONDS), False):
                stack.enter_context(self._kept_alive(lock))
            yield

    @contextmanager
    def _kept_alive(self, lock: Lock) -> Iterator[None]:
        """Extend the lock while the body runs, then release it."""
        done = Event()

        def keep() -> None:
            while not done.wait(_ALIVE_SECONDS / 4):
                self._call(partial(_unless_lost, lock.reacquire), None)

        keeper = Thread(target=keep, name="making", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
            self._call(partial(_unless_lost, lock.release), None)

    def _call(self, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
        backs_off_until = self._backs_off_until
        if backs_off_until is not None and time.monotonic() < backs_off_until:
            return otherwise
        try:
            answer = ask()
        except (GoneError, LateError) as error:
            self._back_off(error)
            return otherwise
        except RedisError as error:  # an error response: memory full, read-only replica
            self._tell("refused")
            log.warning("redis_refused", reason=str(error))
            return otherwise
        if self._backs_off_until is not None:
            self._backs_off_until = None
            log.info("redis_back")
        return answer

    def _back_off(self, error: RedisError) -> None:
        if self._backs_off_until is None:
            log.warning("redis_gone", reason=type(error).__name__, hint="clicks work without it")
        self._backs_off_until = time.monotonic() + self._back_off_seconds
        self._tell("gone")


def _unless_lost(ask: Callable[[], object]) -> None:
    with suppress(LockNotOwnedError):  # expired during an outage, and now another process's
        ask()


def _redis_key(key: str) -> str:
    return f"segstudio:embedding:{key}"
