"""Embeddings in Redis, shared by replicas."""

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

from sam_backend.embedding_service import COMPUTE_SECONDS

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

LARGEST = 64 << 20
"""Bytes of a value; what is larger is not an embedding, and is not read to its end."""

KEPT_SECONDS = 7 * 24 * 3600
"""Since the last use. A Redis with ``maxmemory`` and ``allkeys-lru`` makes room before."""

_ALIVE_SECONDS = 5
"""After which one who made an embedding and says nothing more is not waited for."""

_CONNECT_SECONDS = 0.5
_ANSWER_SECONDS = 1.0


class RedisStore:
    """Never raises and never waits for long: without Redis, it simply holds nothing.

    After an error it rests, so that of a Redis that is gone or hangs a click waits for one answer
    at most, and most clicks for none; then it tries again by itself.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        tell: Is told of trouble, in a word: ``gone`` or ``refused``.
        back_off_seconds: Between two tries of a Redis that is gone.
    """

    name = "redis"

    def __init__(self, url: str, tell: Callable[[str], None], back_off_seconds: float = 5) -> None:
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # Not once more: that would cost a click twice the time, and a connection that was
            # closed while nobody used it is opened anew in any case.
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
        """Say again and again that whoever has the lock is alive, and give it back."""
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
        except RedisError as error:  # it answers, but not so: memory full, read-only replica
            self._tell("refused")
            log.warning("redis_refused", reason=str(error))
            return otherwise
        if self._backs_off_until is not None:
            self._backs_off_until = None
            log.info("redis_back")
        return answer

    def _back_off(self, error: RedisError) -> None:
        if self._backs_off_until is None:
            log.warning("redis_gone", reason=type(error).__name__, hint="clicks go on without it")
        self._backs_off_until = time.monotonic() + self._back_off_seconds
        self._tell("gone")


def _unless_lost(ask: Callable[[], object]) -> None:
    with suppress(LockNotOwnedError):  # Redis was gone for a while, and somebody else began
        ask()


def _redis_key(key: str) -> str:
    return f"segstudio:embedding:{key}"
