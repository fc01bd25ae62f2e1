"""How much memory processes take of the machine."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.processes import Backend
from tests.support.waiting import descendants

MB = 1 << 20


def taken(pids: Iterable[int]) -> int:
    """Bytes that processes of one program take together, each page counted once.

    What a fork still shares with its parent is split among them by the kernel (``Pss_Anon``).
    Files that are mapped, the libraries' code, are the same in all: the process that has the most
    of them stands for all.
    """
    forks = list(pids)
    own = sum(_field(pid, "smaps_rollup", "Pss_Anon") for pid in forks)
    return own + max(_field(pid, "status", "RssFile") for pid in forks)


def _field(pid: int, file: str, name: str) -> int:
    """A line of a file below /proc, of kilobytes, in bytes."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def taken_by(backend: Backend) -> int:
    """By a backend's workers and the process that watches them, in bytes."""
    pid = backend.process.pid
    return taken((pid, *descendants(pid)))
