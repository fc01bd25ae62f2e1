"""Limit on the pixels decoded at the same time by all requests of a process."""

import weakref
from threading import Condition

import numpy as np
import numpy.typing as npt

from ml_backend.errors import DeadlineExceededError


class PixelBudget:
    """Budget of pixels shared by all decoded images in memory; an image waits until it fits.

    Args:
        pixels: Size of the budget; a larger image takes all of it.
        seconds: Maximum time that an image waits.
    """

    def __init__(self, pixels: int, seconds: float) -> None:
        self._size = self._free = pixels
        self._seconds = seconds
        self._changed = Condition()

    def acquire(self, pixels: int) -> int:
        """Wait for room; return the amount taken, to be passed to ``release`` or ``release_with``.

        Raises:
            DeadlineExceededError: No room became free in time.
        """
        amount = min(pixels, self._size)
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= amount, self._seconds):
                raise DeadlineExceededError(
                    "timed out waiting for decode memory", "try again in a moment"
                )
            self._free -= amount
        return amount

    def release(self, amount: int) -> None:
        """Return an amount to the budget."""
        with self._changed:
            self._free += amount
            self._changed.notify_all()

    def release_with(self, amount: int, image: npt.NDArray[np.uint8]) -> None:
        """Return an amount to the budget when ``image`` is garbage-collected."""
        weakref.finalize(image, self.release, amount).atexit = False
