"""The average of several runs' weights."""

from pathlib import Path

import pytest
import torch

from training import average
from training.data import DataError


def checkpoint(run: Path, weight: float, batches: int) -> None:
    run.mkdir()
    weights = {"weight": torch.full((2, 2), weight), "batches": torch.tensor(batches)}
    torch.save({"network": {}, "average": weights, "seen": batches}, run / "checkpoint.pt")


def test_the_average_of_two_runs_is_their_mean_in_the_first_ones_checkpoint(tmp_path: Path) -> None:
    checkpoint(tmp_path / "one", 1.0, 10)
    checkpoint(tmp_path / "two", 2.0, 20)
    state = average.average([tmp_path / "one", tmp_path / "two"])
    assert state["seen"] == 10
    for name in ("network", "average"):
        assert torch.equal(state[name]["weight"], torch.full((2, 2), 1.5))
        assert torch.equal(state[name]["batches"], torch.tensor(15))


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to average"):
        average.average([tmp_path])
