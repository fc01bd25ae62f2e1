"""Uploads as processes: killed, interrupted, and with many rows."""

import os
import signal
import subprocess
import threading
from pathlib import Path

from tests.support.command_line import Run, records
from tests.support.gcs_posts import RULE, SEGSTUDIO, UPLOAD, manifest_rows, write_posts
from tests.support.gcs_server import GcsServer


def test_an_upload_killed_in_the_middle_goes_on_and_does_nothing_twice(
    photos: GcsServer, run: Run
) -> None:
    expected = write_posts(*range(2000))
    enough, killed = threading.Event(), threading.Event()

    def hold_on(_method: str, _path: str) -> None:
        """After 800 writes, let the requests wait until nobody is there for their answers."""
        if photos.writes.total() >= 800 and not killed.is_set():
            enough.set()
            killed.wait(60)

    photos.fault = hold_on
    with subprocess.Popen([SEGSTUDIO, *UPLOAD, *RULE], stderr=subprocess.DEVNULL) as process:
        assert enough.wait(120)
        process.kill()
    killed.set()
    assert not Path("posts.manifest.csv").exists()

    (outcome,) = records(run(*UPLOAD, *RULE, "--json"))
    assert outcome["uploaded"] + outcome["present"] == 2000
    assert 800 <= outcome["present"] < 2000
    assert photos.content("photos") == expected
    assert set(photos.writes.values()) == {1}
    assert [row["identifier"] for row in manifest_rows()] == list(expected)


def test_an_interrupted_upload_has_an_exit_code_of_its_own(photos: GcsServer, run: Run) -> None:
    write_posts(*range(200))
    begun, interrupted = threading.Event(), threading.Event()

    def hold_on(_method: str, path: str) -> None:
        if "/upload/" in path:
            begun.set()
            interrupted.wait(60)

    photos.fault = hold_on
    with subprocess.Popen([SEGSTUDIO, *UPLOAD, *RULE], stderr=subprocess.DEVNULL) as process:
        assert begun.wait(60)
        process.send_signal(signal.SIGINT)
        interrupted.set()
    assert process.returncode == 130
    assert photos.writes.total() < 200
    assert not Path("posts.manifest.csv").exists()


def test_memory_stays_flat_for_a_hundred_thousand_rows(photos: GcsServer, run: Run) -> None:
    Path("1.jpg").write_bytes(b"image")

    def peak_kib(rows: int) -> int:
        with Path("posts.csv").open("w") as file:
            file.write("Username,ID,image_path\n")
            file.writelines(f"someone,{n},1.jpg\n" for n in range(rows))
        process = subprocess.Popen([SEGSTUDIO, *UPLOAD, *RULE, "--dry-run"])
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss

    assert peak_kib(100_000) - peak_kib(1_000) < 8_000
