"""Take turns at the CPU: jobs of one kind are queued instead of competing for cores."""

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
    """Unit of work, and the future that receives its result or exception."""

    work: Callable[[], Result]
    future: "Future[Result]" = field(default_factory=Future)

    def run(self) -> None:
        """Run the job, unless it was cancelled; never raises."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - passed on to the future
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class PriorityExecutor:
    """Runs one job at a time in its own thread: urgent jobs first, in order of arrival.

    A model's library starts a set of compute threads for every thread that calls it; with a
    single caller there is one set, however many requests wait.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._urgent: deque[Job[Any]] = deque()
        self._idle: deque[Job[Any]] = deque()
        self._lock = Lock()

    def submit(self, work: Callable[[], Result], urgent: bool = True) -> "Future[Result]":
        """Queue a job; one that is not urgent waits until no urgent job does."""
        job = Job(work)
        with self._lock:
            (self._urgent if urgent else self._idle).append(job)
        self._executor.submit(self._run_next)
        return job.future

    def hurry(self, future: "Future[Any]") -> None:
        """Make a queued job urgent; has no effect on one that has begun."""
        with self._lock:
            job = next((job for job in self._idle if job.future is future), None)
            if job is not None:
                self._idle.remove(job)
                self._urgent.append(job)

    def run(self, work: Callable[[], Result], deadline: Deadline) -> Result:
        """Queue an urgent job and wait for its result.

        Raises:
            DeadlineExceededError: The job did not finish in time; it is cancelled if it has not
                begun.
        """
        future = self.submit(work)
        try:
            return wait_for(future, deadline)
        finally:
            future.cancel()

    def _run_next(self) -> None:
        """Run the next job; called once for each queued job."""
        with self._lock:
            job = (self._urgent or self._idle).popleft()
        job.run()


class ActivityGauge:
    """Tracks whether requests are being served, so that background work waits for a pause."""

    def __init__(self) -> None:
        self._served = 0
        self._changed = Condition()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Mark a request as being served while the body runs."""
        with self._changed:
            self._served += 1
        try:
            yield
        finally:
            with self._changed:
                self._served -= 1
                self._changed.notify_all()

    def wait(self, deadline: Deadline) -> None:
        """Wait until no request is being served.

        Raises:
            DeadlineExceededError: Requests were served all the time until the deadline.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._served, deadline.remaining()):
                raise DeadlineExceededError("timed out waiting for labelers", "try again")


def wait_for(future: "Future[Result]", deadline: Deadline) -> Result:
    """Wait for a queued job and return its result; its exception is raised here.

    A finished result is returned even after the deadline: the caller may be late because it
    waited for another job.

    Raises:
        DeadlineExceededError: The job did not finish by the deadline.
    """
    if not future.done():
        wait([future], timeout=deadline.remaining())
    if not future.done():
        raise DeadlineExceededError(
            "the model was too busy to answer in time", "try again in a moment"
        )
    return future.result()
