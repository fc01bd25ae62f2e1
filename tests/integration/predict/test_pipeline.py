"""Ray Data returns what the plain loop returns, whatever process dies."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from ml_backend.errors import LabelConfigError
from segstudio.predict.pipeline import Pipeline
from tests.integration.predict import serial
from tests.support import ray_models as models
from tests.support.ray_cluster import Ray
from tests.support.ray_pictures import fill
from tests.support.waiting import eventually

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

BROKEN = (3, 500, 1999)


def test_two_thousand_images_get_what_a_plain_loop_gives_broken_ones_in_between(
    joined: Ray, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    names = fill(folder, 2000, BROKEN)
    items = serial.items(folder)
    work = serial.pipeline(folder, block=50)
    outcomes = list(work.predict(items, work.model()))
    assert len(outcomes) == len(names)
    assert serial.by_key(outcomes) == serial.plain_loop(folder, items)
    assert all(o.prediction["result"] for o in outcomes if o.prediction)
    failed = {o.item.meta["identifier"]: o.reason for o in outcomes if o.prediction is None}
    assert sorted(failed) == [names[number] for number in BROKEN]
    assert all("damaged" in reason or "image" in reason for reason in failed.values())


def test_workers_that_are_killed_at_random_lose_and_double_nothing(
    joined: Ray, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    fill(folder, 400)
    items = serial.items(folder)
    work = serial.pipeline(folder, models.load_slow)
    model = work.model()
    with killing(joined) as killed:
        outcomes = list(work.predict(items, model))
    assert len(killed) > 1, f"no worker was there to be killed: {killed}"
    assert len(outcomes) == len(items), killed
    assert serial.by_key(outcomes) == serial.plain_loop(folder, items), killed


@contextmanager
def killing(ray: Ray) -> Iterator[list[str]]:
    """Kill some workers while the body runs, at random; tells the seed, and what was killed when.

    The body's model sleeps for 8 s, so one is killed at least, and rarely less than all four.
    """
    seed = secrets.randbits(32)
    chance, ended, killed = random.Random(seed), Event(), [f"seed {seed}"]

    def kill() -> None:
        begun = time.monotonic()
        while len(killed) <= 4 and not ended.wait(chance.uniform(0, 3)):
            if pids := ray.workers():
                pid = chance.choice(pids)
                killed.append(f"{pid} after {time.monotonic() - begun:.2f} s")
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        ended.set()
        killer.join()


def test_a_driver_that_is_killed_and_run_again_loses_and_doubles_nothing(
    joined: Ray, tmp_path: Path
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    names = fill(folder, 300, broken=(7,))
    words = [
        sys.executable,
        "-m",
        "tests.integration.predict.serial",
        str(folder),
        str(out),
        joined.address,
    ]
    seed = secrets.randbits(32)
    driver = subprocess.Popen(words)
    eventually(lambda: joined.workers() or driver.poll() is not None, seconds=120)
    # It works for 6 s at least; where it has ended by then, there is nothing left to do.
    with suppress(subprocess.TimeoutExpired):
        driver.wait(random.Random(seed).uniform(0, 12))
    driver.kill()
    assert driver.wait(10) in (0, -signal.SIGKILL)
    before = _tasks(out)
    told = f"seed {seed}, {len(before)} there"
    tally = serial.run_to_shards(folder, out)
    # The broken one is tried again only where its failure was not written down yet.
    assert tally.total() == len(names), told
    assert tally["present"] == len(before), told
    identifiers = Counter(task["data"]["identifier"] for task in _tasks(out))
    assert set(identifiers) == {*names} - {names[7]}, told
    assert set(identifiers.values()) == {1}, told
    assert names[7] in (out / "failed.csv").read_text(), told


def _tasks(out: Path) -> list[dict[str, Any]]:
    shards = sorted(out.glob("shards/*.jsonl"))
    return [json.loads(line) for shard in shards for line in shard.read_text().splitlines()]


def test_a_label_config_without_a_known_label_is_refused_before_the_work(
    joined: Ray, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    work = serial.pipeline(tmp_path / "pictures")
    config = work.label_config.replace("dress", "car").replace("hat", "road")
    with pytest.raises(LabelConfigError, match="known to the model"):
        Pipeline(work.settings, config, work.pool, work.load).model()
