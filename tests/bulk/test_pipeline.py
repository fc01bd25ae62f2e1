"""Ray Data gives what the plain loop gives, whatever dies meanwhile."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ml_backend.errors import LabelConfigError
from segstudio.bulk.pipeline import Pipeline
from tests.bulk import models, serial
from tests.bulk.pictures import fill
from tests.ray_cluster import Ray
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(900)

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
    outcomes, killed = [], 0
    chance = random.Random(7)
    for outcome in work.predict(items, work.model()):
        outcomes.append(outcome)
        if killed < 4 and len(outcomes) > 60 * killed and (pids := joined.workers()):
            os.kill(chance.choice(pids), signal.SIGKILL)
            killed += 1
    assert killed == 4
    assert len(outcomes) == len(items)
    assert serial.by_key(outcomes) == serial.plain_loop(folder, items)


def test_a_driver_that_is_killed_and_run_again_loses_and_doubles_nothing(
    joined: Ray, tmp_path: Path
) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    names = fill(folder, 300, broken=(7,))
    words = [sys.executable, "-m", "tests.bulk.serial", str(folder), str(out), joined.address]
    driver = subprocess.Popen(words)
    eventually(lambda: list(out.glob("shards/*.jsonl")) or driver.poll() is not None, seconds=120)
    driver.kill()
    assert driver.wait(10) == -signal.SIGKILL
    before = _tasks(out)
    assert 0 < len(before) < len(names)
    tally = serial.run_to_shards(folder, out)
    # The broken one is tried again only where its failure was not written down yet.
    assert tally["present"] + tally["failed_before"] + tally["predicted"] + tally["failed"] == len(
        names
    )
    assert tally["present"] == len(before)
    identifiers = Counter(task["data"]["identifier"] for task in _tasks(out))
    assert set(identifiers) == {*names} - {names[7]}
    assert set(identifiers.values()) == {1}
    assert names[7] in (out / "failed.csv").read_text()


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
