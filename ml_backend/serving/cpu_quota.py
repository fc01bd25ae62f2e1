"""How much of the machine's processors this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_cpus(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Whole processors within the affinity mask and every quota that holds for it; at least 1.

    A quota may be that of the process's own control group (a container sees no other) or of one
    around it (a service of systemd, a pod). They are read where cgroup v2 (``cpu.max``) and v1
    (``cpu/cpu.cfs_quota_us``) keep them.

    Args:
        cgroups: Where the control groups are mounted.
        own: Tells the one of this process, in the form of ``/proc/self/cgroup``.
    """
    quotas = [quota for folder in _cgroup_folders(cgroups, own) for quota in _quota(folder)]
    return max(min([len(os.sched_getaffinity(0)), *quotas]), 1)


def _cgroup_folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """The control groups that this process is in, of both versions, with all around them."""
    for line in own.read_text().splitlines() if own.is_file() else ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        # A container that shares the host's name for it finds only its own files, at the root.
        inner = root / path.strip("/")
        yield from dict.fromkeys([root, inner, *(p for p in inner.parents if root in p.parents)])


def _quota(folder: Path) -> Iterator[int]:
    """Whole processors of a control group's quota, if it has one."""
    v2 = folder / "cpu.max"
    v1 = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    quota, period = "max", "1"
    if v2.is_file():
        quota, period = v2.read_text().split()
    elif v1[0].is_file():
        quota, period = (path.read_text().strip() for path in v1)
    if quota.isdigit() and int(quota) > 0:
        yield int(quota) // int(period)
