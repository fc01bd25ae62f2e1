"""Memory use of processes."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.processes import Backend
from tests.support.waiting import descendants

MB = 1 << 20


def taken(pids: Iterable[int]) -> int:
    """Return the bytes that processes of one program use together, counting each page once.

    The kernel divides pages shared with the parent among the processes (``Pss_Anon``). Mapped
    files, such as the libraries' code, are the same in all: the process with the most of them
    counts for all.
    """
    forks = list(pids)
    own = sum(_field(pid, "smaps_rollup", "Pss_Anon") for pid in forks)
    return own + max(_field(pid, "status", "RssFile") for pid in forks)


def _field(pid: int, file: str, name: str) -> int:
    """Return a line of a file below /proc, given in kilobytes, in bytes."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def taken_by(backend: Backend) -> int:
    """Return the bytes of a backend's workers and their supervisor."""
    pid = backend.process.pid
    return taken((pid, *descendants(pid)))
