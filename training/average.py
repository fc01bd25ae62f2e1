"""Average the weights of runs: ``python -m training.average RUN RUN --run FOLDER``.

The average of runs that started from the same trained weights is better than each of them
("model soups": Wortsman et al., 2022). The folder is a run, which the program that made the others
exports with ``--export``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.data import DataError
from training.loop import CHECKPOINT, run_program


def average(runs: Sequence[Path]) -> dict[str, Any]:
    """Return the checkpoint of the first run with the mean of all runs' averaged weights.

    Args:
        runs: Folders of runs of one program.

    Raises:
        DataError: A folder has no checkpoint.
    """
    states = [_checkpoint(run) for run in runs]
    mean = {
        name: _mean([state["average"][name] for state in states]) for name in states[0]["average"]
    }
    return {**states[0], "network": mean, "average": mean}


def _mean(weights: Sequence[Tensor]) -> Tensor:
    return torch.stack([each.double() for each in weights]).mean(0).to(weights[0].dtype)


def _checkpoint(run: Path) -> dict[str, Any]:
    path = run / CHECKPOINT
    if not path.exists():
        raise DataError(f"{path} is not there: nothing to average")
    state: dict[str, Any] = torch.load(path, "cpu", weights_only=True)
    return state


def main() -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--run", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    state = average(arguments.runs)
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.save(state, arguments.run / CHECKPOINT)


if __name__ == "__main__":
    run_program(main)
