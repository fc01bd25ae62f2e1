import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segmentation_backend.learning.priority import one_at_a_time
from segmentation_backend.learning.store import LearnedStoreError


def test_a_second_run_says_that_it_waits_and_begins_when_the_first_ends(tmp_path: Path) -> None:
    waits, begun = threading.Event(), threading.Event()

    def second() -> None:
        with one_at_a_time(tmp_path, waits.set):
            begun.set()

    thread = threading.Thread(target=second)
    with one_at_a_time(tmp_path, lambda: pytest.fail("nobody else is there")):
        thread.start()
        assert waits.wait(timeout=20)
        assert not begun.is_set()
    thread.join(timeout=20)
    assert begun.is_set()


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LearnedStoreError, match="MODELS_DIR must be writable"),
        one_at_a_time(tmp_path / "file" / "learned", lambda: None),
    ):
        pass


def session_priority() -> str:
    """Return the kernel's line on this session; empty where it has no autogroups."""
    path = Path("/proc/self/autogroup")
    return path.read_text() if path.exists() else ""


def test_a_run_gives_way_to_everything_else_and_takes_nobody_along() -> None:
    before = session_priority()
    program = (
        "import os; from segmentation_backend.learning.priority import lower_priority; "
        "lower_priority(19); lower_priority(5); print(os.nice(0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "19"
    assert os.nice(0) < 19
    assert session_priority() == before
