"""The locked requirements and the version: one rule for all of them."""

import re
from collections import defaultdict

import pytest

from ml_backend import __version__
from tests.support.repository import ROOT

LOCKS = ROOT / "requirements"
ONE_ENVIRONMENT = ("uv", "client", "serving", "runtime", "bulk", "dev")
"""Locks whose packages meet in one environment or image."""


def pins(lock: str) -> dict[str, str]:
    """Packages of a lock with their versions."""
    text = (LOCKS / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([^\s=#]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize(("lock", "most"), [("client", 60), ("serving", 80)])
def test_a_lock_stays_small(lock: str, most: int) -> None:
    assert len(pins(lock)) <= most


def test_all_locks_agree_on_versions() -> None:
    versions = defaultdict(set)
    for lock in ONE_ENVIRONMENT:
        for package, version in pins(lock).items():
            versions[package].add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_a_larger_lock_holds_the_smaller() -> None:
    assert pins("client").items() <= pins("serving").items()
    assert pins("serving").items() <= pins("runtime").items() <= pins("dev").items()


def test_what_images_leave_out_is_torch_and_all_of_cuda() -> None:
    names = re.findall(r"^[a-z].*", (LOCKS / "cuda.in").read_text(), re.MULTILINE)
    cuda = re.compile(r"torch|torchvision|triton|(nvidia|cuda)-.+")
    assert {*names, "torch", "torchvision"} == set(filter(cuda.fullmatch, pins("runtime")))
    assert not any(map(cuda.fullmatch, [*pins("serving"), *pins("bulk")]))


def test_images_get_no_test_tools() -> None:
    developers = {"label-studio-sdk", "scikit-learn", "scipy", "pandas", "nltk", "faker", "black"}
    assert not pins("serving").keys() & developers


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == __version__


def test_the_version_has_release_notes_of_ten_lines_at_most() -> None:
    notes = (ROOT / "docs" / "releases" / f"{__version__}.md").read_text()
    lines = [line for line in notes.splitlines()[1:] if line]
    assert 5 <= len(lines) <= 10
