"""Turns at the processor: work of one kind waits for its turn instead of fighting for cores."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Any, Generic, TypeVar

from ml_backend.deadline import Deadline
from ml_backend.errors import DeadlineExceededError

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Job(Generic[Result]):
    """Work, and the future that gets its result, or whatever it raises."""

    work: Callable[[], Result]
    future: "Future[Result]" = field(default_factory=Future)

    def run(self) -> None:
        """Do it, unless it was cancelled; raises nothing."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - it is for whoever asked
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class PriorityExecutor:
    """Does one thing at a time, in a thread of its own: what is urgent in the order it came.

    A model's library starts its compute threads anew for every thread that calls it; with one
    caller there is one set of them, however many requests wait.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._urgent: deque[Job[Any]] = deque()
        self._idle: deque[Job[Any]] = deque()
        self._lock = Lock()

    def submit(self, work: Callable[[], Result], urgent: bool = True) -> "Future[Result]":
        """Queue work; what is not urgent waits until nothing urgent does."""
        job = Job(work)
        with self._lock:
            (self._urgent if urgent else self._idle).append(job)
        self._executor.submit(self._run_next)
        return job.future

    def hurry(self, future: "Future[Any]") -> None:
        """Make work urgent that was not; nothing where it has begun already."""
        with self._lock:
            job = next((job for job in self._idle if job.future is future), None)
            if job is not None:
                self._idle.remove(job)
                self._urgent.append(job)

    def run(self, work: Callable[[], Result], deadline: Deadline) -> Result:
        """Queue urgent work and wait for it.

        Raises:
            DeadlineExceededError: It is not done in time; if not yet begun, it never will be.
        """
        future = self.submit(work)
        try:
            return wait_for(future, deadline)
        finally:
            future.cancel()

    def _run_next(self) -> None:
        """Do the job whose turn it is: as many calls of this are queued as there are jobs."""
        with self._lock:
            job = (self._urgent or self._idle).popleft()
        job.run()


class ActivityGauge:
    """Knows whether anybody is being served, so that other work waits for a pause."""

    def __init__(self) -> None:
        self._served = 0
        self._changed = Condition()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Somebody is being served as long as the body runs."""
        with self._changed:
            self._served += 1
        try:
            yield
        finally:
            with self._changed:
                self._served -= 1
                self._changed.notify_all()

    def wait(self, deadline: Deadline) -> None:
        """Wait until nobody is.

        Raises:
            DeadlineExceededError: Somebody was, all the time until the deadline.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._served, deadline.remaining()):
                raise DeadlineExceededError("labelers went first until time was up", "ask again")


def wait_for(future: "Future[Result]", deadline: Deadline) -> Result:
    """Wait for work that is queued; what it raises is raised here.

    What is done is given even after the deadline: who was late in asking may have waited for other
    work, which was not in time.

    Raises:
        DeadlineExceededError: It is not done by the deadline.
    """
    if not future.done():
        wait([future], timeout=deadline.remaining())
    if not future.done():
        raise DeadlineExceededError(
            "the model was too busy to answer in time", "ask again in a moment"
        )
    return future.result()
