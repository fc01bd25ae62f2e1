"""The lowest priority for this process, and one run at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segmentation_backend.learning.store import writing

LOWEST = 19


def take_lowest_priority() -> None:
    """Give way to labelers: nice 19, and so for the kernel's group of this process's session."""
    os.nice(LOWEST)
    # With autogroups, nice alone orders the processes of one session among themselves.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOWEST))


@contextmanager
def one_at_a_time(root: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the folder of learned models; it goes with the process that holds it.

    Args:
        root: ``MODELS_DIR/learned``.
        waiting: Called where another run is at work, before it is waited for.

    Raises:
        LearnedStoreError: The folder cannot be written.
    """
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
