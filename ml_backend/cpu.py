"""How much of the machine's processors this process may use."""

import os
from pathlib import Path


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole processors within the affinity mask and the container's quota; at least 1.

    The quota is read where cgroup v2 (``cpu.max``) and v1 (``cpu/cpu.cfs_quota_us``) keep it.
    """
    cpus = len(os.sched_getaffinity(0))
    quota, period = _v2(cgroup) or _v1(cgroup) or ("max", "1")
    if quota.isdigit() and int(quota) > 0:
        cpus = min(cpus, int(quota) // int(period))
    return max(cpus, 1)


def _v2(cgroup: Path) -> list[str] | None:
    path = cgroup / "cpu.max"
    return path.read_text().split() if path.is_file() else None


def _v1(cgroup: Path) -> list[str] | None:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    paths = [cgroup / "cpu" / name for name in names]
    return [path.read_text().strip() for path in paths] if paths[0].is_file() else None
