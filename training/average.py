"""Average the weights of the promptable network: ``python -m training.average RUN RUN --out FILE``.

The average of runs that started from the same trained weights is better than each of them
("model soups": Wortsman et al., 2022).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sam_backend.models.network import PromptNetwork
from training.data import DataError
from training.interactive import SERVED
from training.loop import CHECKPOINT, run_program, save_network


def average(runs: Sequence[Path]) -> PromptNetwork:
    """Return a network with the mean of the runs' averaged weights.

    Args:
        runs: Folders of runs of ``training.interactive``.

    Raises:
        DataError: A folder has no checkpoint.
    """
    states = [_weights(run) for run in runs]
    network = PromptNetwork()
    network.load_state_dict(
        {
            name: torch.stack([state[name].float() for state in states]).mean(0)
            for name in network.state_dict()
        }
    )
    return network


def _weights(run: Path) -> dict[str, Tensor]:
    path = run / CHECKPOINT
    if not path.exists():
        raise DataError(f"{path} is not there: nothing to average")
    weights: dict[str, Tensor] = torch.load(path, "cpu", weights_only=True)["average"]
    return weights


def main() -> None:
    """Write the average in half precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    arguments = parser.parse_args()
    save_network(average(arguments.runs), arguments.out, {"side": str(SERVED)})


if __name__ == "__main__":
    run_program(main)
