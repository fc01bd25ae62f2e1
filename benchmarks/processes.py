"""How much memory processes take."""

from pathlib import Path

from tests.processes import Backend
from tests.waiting import descendants

MB = 1 << 20


def rss(pid: int) -> int:
    """Resident bytes; what several processes share counts in each."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def all_rss(backend: Backend) -> int:
    """Of a backend's workers and of the process that watches them, in bytes."""
    pid = backend.process.pid
    return rss(pid) + sum(rss(worker) for worker in descendants(pid))
