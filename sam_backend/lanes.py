"""Turns at the processor: work of one kind waits for its turn instead of fighting for cores."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ml_backend.deadline import Deadline
from ml_backend.errors import BudgetError

Result = TypeVar("Result")


class Lane:
    """Does one thing at a time, in the order they came, in a thread of its own.

    A model's library starts its compute threads anew for every thread that calls it; with one
    caller there is one set of them, however many requests wait.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue work."""
        return self._executor.submit(work)

    def run(self, work: Callable[[], Result], deadline: Deadline) -> Result:
        """Queue work and wait for it.

        Raises:
            BudgetError: It is not done by the deadline; if not yet begun, it never will be.
        """
        future = self.submit(work)
        try:
            return result_of(future, deadline)
        finally:
            future.cancel()


def result_of(future: Future[Result], deadline: Deadline) -> Result:
    """Wait for work that is queued; what it raises is raised here.

    Raises:
        BudgetError: It is not done by the deadline.
    """
    wait([future], timeout=deadline.remaining())
    if not future.done():
        raise BudgetError("the model was too busy to answer in time", "click again in a moment")
    return future.result()
