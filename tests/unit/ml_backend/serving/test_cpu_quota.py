"""Compute threads follow the quota, wherever the control group that has it is."""

import os
from pathlib import Path

import pytest

from ml_backend.serving.cpu_quota import available_cpus
from ml_backend.serving.settings import BackendSettings


@pytest.fixture(autouse=True)
def sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def write(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """The mounted control groups, and what tells a process its own."""
    for name, text in files.items():
        path = root / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root / "groups", root / "own"


@pytest.mark.parametrize(
    ("files", "own", "cpus"),
    [
        ({}, "0::/", 16),
        ({"cpu.max": "max 100000"}, "0::/", 16),
        ({"cpu.max": "400000 100000"}, "0::/", 4),
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"cpu.max": "250000 100000"}, "0::/kubepods/pod7", 2),
        ({"system.slice/sam.service/cpu.max": "300000 100000"}, "0::/system.slice/sam.service", 3),
        (
            {
                "a/cpu.max": "200000 100000",
                "a/b/cpu.max": "max 100000",
                "a/b/c/cpu.max": "900000 1",
            },
            "0::/a/b/c",
            2,
        ),
        ({"cpu/cpu.cfs_quota_us": "500000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/", 5),
        (
            {
                "cpu/docker/x/cpu.cfs_quota_us": "600000",
                "cpu/docker/x/cpu.cfs_period_us": "100000",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
            },
            "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/",
            6,
        ),
        ({"elsewhere/cpu.max": "100000 100000"}, "0::/mine", 16),
    ],
)
def test_the_least_quota_around_the_process_holds(
    tmp_path: Path, files: dict[str, str], own: str, cpus: int
) -> None:
    groups, told = write(tmp_path, files)
    told.write_text(own + "\n")
    assert available_cpus(groups, told) == cpus


def test_without_control_groups_the_processors_of_the_machine_count(tmp_path: Path) -> None:
    assert available_cpus(tmp_path, tmp_path / "none") == 16


@pytest.mark.parametrize(
    ("threads", "workers", "expected"),
    [(0, 1, 4), (0, 2, 2), (1, 2, 1), (3, 2, 2), (0, 3, 1), (99, 1, 4), (99, 8, 1)],
)
def test_the_workers_threads_are_together_never_more_than_the_quota(
    monkeypatch: pytest.MonkeyPatch, threads: int, workers: int, expected: int
) -> None:
    monkeypatch.setattr("ml_backend.serving.settings.available_cpus", lambda: 4)
    assert BackendSettings(threads=threads, workers=workers).compute_threads == expected
