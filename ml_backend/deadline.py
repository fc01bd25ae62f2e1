"""A moment by which an answer is due."""

import math
import time
from dataclasses import dataclass

from ml_backend.errors import DeadlineExceededError


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock; passed down so that no part outlives the request."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            DeadlineExceededError: None are.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise DeadlineExceededError(
                "the request's time budget is spent",
                "ask for fewer tasks, or raise PREDICT_SECONDS",
            )
        return seconds

    def cap(self, seconds: float | None) -> float:
        """Shorten a time-out, None for one without end, to what is left.

        Raises:
            DeadlineExceededError: Nothing is left.
        """
        return min(math.inf if seconds is None else seconds, self.remaining())
