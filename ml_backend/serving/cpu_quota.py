"""Number of CPUs that this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_cpus(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Return the whole CPUs allowed by the affinity mask and all cgroup quotas; at least 1.

    A quota may belong to the process's own control group (a container sees no other) or to a
    parent (a systemd service, a pod). Reads cgroup v2 (``cpu.max``) and v1
    (``cpu/cpu.cfs_quota_us``).

    Args:
        cgroups: Mount point of the control groups.
        own: File that names the control group of this process, like ``/proc/self/cgroup``.
    """
    quotas = [quota for folder in _cgroup_folders(cgroups, own) for quota in _quota(folder)]
    return max(min([len(os.sched_getaffinity(0)), *quotas]), 1)


def _cgroup_folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, v1 and v2, and of all their parents."""
    for line in own.read_text().splitlines() if own.is_file() else ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        # In a container, the name may be the host's, while its files are at the root.
        inner = root / path.strip("/")
        yield from dict.fromkeys([root, inner, *(p for p in inner.parents if root in p.parents)])


def _quota(folder: Path) -> Iterator[int]:
    """Yield the whole CPUs of a control group's quota, if it has one."""
    v2 = folder / "cpu.max"
    v1 = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    quota, period = "max", "1"
    if v2.is_file():
        quota, period = v2.read_text().split()
    elif v1[0].is_file():
        quota, period = (path.read_text().strip() for path in v1)
    if quota.isdigit() and int(quota) > 0:
        yield int(quota) // int(period)
