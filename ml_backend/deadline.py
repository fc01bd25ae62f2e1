"""Deadline of a request."""

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
        """Return the deadline ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds left.

        Raises:
            DeadlineExceededError: No time is left.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise DeadlineExceededError(
                "the request's time budget is spent",
                "send fewer tasks, or raise PREDICT_SECONDS",
            )
        return seconds

    def cap(self, seconds: float | None) -> float:
        """Limit a time-out to the time left; None stands for no time-out.

        Raises:
            DeadlineExceededError: No time is left.
        """
        return min(math.inf if seconds is None else seconds, self.remaining())
