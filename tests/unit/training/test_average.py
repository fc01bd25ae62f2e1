"""The average of several runs' weights."""

import sys
from pathlib import Path

import pytest
import torch

from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.network import PromptNetwork
from training import average
from training.data import DataError


def checkpoint(run: Path, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    weights = PromptNetwork().state_dict()
    run.mkdir()
    torch.save({"average": weights}, run / "checkpoint.pt")
    return weights


def test_the_average_of_two_runs_is_their_mean_and_can_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (checkpoint(tmp_path / name, seed) for seed, name in enumerate(("one", "two")))
    out = tmp_path / "embedded.safetensors"
    runs = [str(tmp_path / name) for name in ("one", "two")]
    monkeypatch.setattr(sys, "argv", ["average", *runs, "--out", str(out)])
    average.main()
    assert EmbeddedPromptableModel.load(out)
    mean = average.average([tmp_path / "one", tmp_path / "two"]).state_dict()
    torch.testing.assert_close(mean["head.weight"], (one["head.weight"] + two["head.weight"]) / 2)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to average"):
        average.average([tmp_path])
