"""How much may be decoded at once, in all requests of a process together."""

import weakref
from threading import Condition

import numpy as np
import numpy.typing as npt

from ml_backend.errors import DeadlineExceededError


class PixelBudget:
    """Pixels that decoded images may have together; whoever finds no room waits.

    Args:
        pixels: As many; an image of more has the room to itself.
        seconds: That an image waits for room.
    """

    def __init__(self, pixels: int, seconds: float) -> None:
        self._size = self._free = pixels
        self._seconds = seconds
        self._changed = Condition()

    def acquire(self, pixels: int) -> int:
        """Wait for room; returns how much was taken, for ``release`` or ``release_with``.

        Raises:
            DeadlineExceededError: There was none in time.
        """
        amount = min(pixels, self._size)
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= amount, self._seconds):
                raise DeadlineExceededError(
                    "other large images went first", "ask again in a moment"
                )
            self._free -= amount
        return amount

    def release(self, amount: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._free += amount
            self._changed.notify_all()

    def release_with(self, amount: int, image: npt.NDArray[np.uint8]) -> None:
        """Let ``image`` have what was taken until nobody holds it any more."""
        weakref.finalize(image, self.release, amount).atexit = False
