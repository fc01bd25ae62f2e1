"""Low priority for this process, and mutual exclusion of runs."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segmentation_backend.learning.store import writing


def lower_priority(nice: int) -> None:
    """Yield to labelers: lower the priority of this process, and of its session if it is its own.

    Args:
        nice: Nice value, 0..19; a process that has a larger one keeps it.
    """
    nice = max(nice, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    # With autogroups, nice alone only orders the processes of one session. A terminal's session is
    # left as it is: its shell would stay slow after the run.
    if os.getsid(0) in (os.getpid(), os.getppid()):
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))


@contextmanager
def one_at_a_time(root: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the folder of learned models; the kernel releases it with the process.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        waiting: Called before waiting for another run.

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
