"""Shared parts of both trainings: schedule, averaged weights, checkpoints, log."""

import argparse
import copy
import csv
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar

import matplotlib
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ml_backend.errors import SegstudioError
from ml_backend.models.blocks import fast_dtype
from training.data import DataError

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Net = TypeVar("Net", bound=nn.Module)
BATCH = 16
CHECKPOINT = "checkpoint.pt"  # in the folder of a run
ENCODER_RATE = 0.25  # of the learning rate, for parameters of ``encoder``, which come pretrained


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    Attributes:
        run: Folder of checkpoint, log and plot; an existing run is resumed.
        samples: Number of training samples in total; may be raised when resuming.
        seed: Random seed of all samples.
        device: Device for training: ``"cpu"`` or ``"cuda"``.
        rate: Learning rate between warm-up and decay.
        minutes: Time limit, over which the rest of the run is distributed; None: no limit.
        start: Weights of an earlier run to train on from; None: ImageNet's.
        decay: Fraction of the run, at its end, over which the learning rate falls to zero.
        only_export: Whether to export an existing run without training.
    """

    run: Path
    samples: int
    seed: int
    device: str
    rate: float
    minutes: float | None = None
    start: Path | None = None
    decay: float = 0.35
    only_export: bool = False


class Run(Generic[Net]):
    """Network in training: takes steps, averages weights, saves checkpoints.

    Attributes:
        network: Network that is trained.
        average: Exponential moving average of the weights, which is validated and shipped.
        seen: Number of samples so far.
    """

    def __init__(self, network: Net, options: Options) -> None:
        self.options = options
        self.network = network.to(options.device)
        network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(network), lr=options.rate, weight_decay=0.03
        )
        self.seen = 0
        options.run.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()
        elif options.only_export:
            raise DataError(f"{self._checkpoint} is not there: nothing to export")
        self._began, self._first = monotonic(), self.seen

    @property
    def _checkpoint(self) -> Path:
        return self.options.run / CHECKPOINT

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.options.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = state["seen"]

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seen": self.seen,
        }
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._checkpoint)

    def progress(self) -> float:
        """Return the completed fraction of the run, 0..1: by samples, or by time if limited."""
        if self.options.minutes is None:
            whole = self.options.samples // BATCH * BATCH
            return self.seen / whole if whole else 1.0
        before = self._first / self.options.samples
        gone = (monotonic() - self._began) / (60 * self.options.minutes)
        return min(1.0, before + (1 - before) * gone)

    def total(self, end: float) -> int | None:
        """Return the samples at the fraction ``end`` of the run; None: it is limited by time."""
        if self.options.minutes is not None:
            return None
        return int(self.options.samples * end) // BATCH * BATCH

    def reached(self, end: float) -> bool:
        """Return whether the fraction ``end`` of the run is completed."""
        total = self.total(end)
        return self.progress() >= end if total is None else self.seen >= total

    def rate(self) -> float:
        """Return the learning rate: warm-up over 4,000 samples, constant, then down to zero."""
        left = (1 - self.progress()) / self.options.decay
        return self.options.rate * min(1.0, (self.seen + BATCH) / 4000, max(left, 0.0))

    def autocast(self) -> torch.autocast:
        """Return a context in which networks compute in bfloat16, where that is fast."""
        device = self.options.device
        native = fast_dtype(device) == torch.bfloat16
        return torch.autocast(device, torch.bfloat16, enabled=native)

    def step(self, loss: Tensor, samples: int) -> None:
        """Update the weights by the ``loss`` of ``samples`` samples."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate() * group["scale"]
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.seen += samples
        self._average()

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(0.998, self.seen / (self.seen + 160))
        theirs = self.network.state_dict()
        for name, mine in self.average.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(theirs[name], 1 - keep)
            else:
                mine.copy_(theirs[name])

    def batches(self, data: Dataset[Any], end: float, workers: int) -> Iterator[list[Tensor]]:
        """Yield batches until the fraction ``end`` is reached; reproducible when resumed."""
        total = self.total(end)
        order = range(self.seen, sys.maxsize if total is None else total)
        loader = DataLoader(
            data,
            BATCH,
            sampler=order,
            num_workers=workers,
            drop_last=True,
            prefetch_factor=4 if workers else None,
        )
        for batch in loader:
            yield [part.to(self.options.device) for part in batch]
            if self.reached(end):
                return

    def log(self, scores: Mapping[str, float]) -> None:
        """Add a row to ``log.csv`` and redraw the plot."""
        path = self.options.run / "log.csv"
        row = {"samples": self.seen, **{name: round(value, 5) for name, value in scores.items()}}
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        _plot(path)


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Group parameters: a pretrained encoder learns slowly, biases and norms without decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        # Frozen parameters are included, without gradients, so that checkpoints always fit.
        key = name.startswith("encoder."), parameter.ndim > 1
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "scale": ENCODER_RATE if encoder else 1.0,
            **({} if matrix else {"weight_decay": 0.0}),
        }
        for (encoder, matrix), parameters in groups.items()
    ]


def _plot(path: Path) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(figsize=(8, 5))
    for name in rows[0]:
        values = [float(row[name]) for row in rows]
        if name != "samples" and not any(math.isnan(value) for value in values):
            axes.plot([int(row["samples"]) for row in rows], values, label=name, marker=".")
    axes.set_xlabel("training samples")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path.with_suffix(".png"), dpi=110)
    plt.close(figure)


def save_network(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors, convolutions and other matrices in half precision."""
    tensors = {
        name: (value.half() if value.ndim > 1 else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    save_file(tensors, path, metadata)


def parser_for(description: str | None, run: Path, samples: int) -> argparse.ArgumentParser:
    """Return a parser with the options of every training."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of photos/, masks/ and labels.json"
    )
    parser.add_argument(
        "--run", type=Path, default=run, help="checkpoint and log; resumed if there"
    )
    parser.add_argument("--samples", type=int, default=samples, help="training samples in all")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=2, help="of the processor, for the network")
    parser.add_argument("--workers", type=int, default=1, help="processes that prepare samples")
    parser.add_argument(
        "--minutes", type=float, help="end the run after so many, whatever the samples"
    )
    parser.add_argument(
        "--start", type=Path, help="weights of an earlier run to train on from, not ImageNet's"
    )
    parser.add_argument(
        "--export", action="store_true", help="export the run as it is, without training on"
    )
    return parser


def options_from(arguments: argparse.Namespace) -> Options:
    """Return the parsed options; sets the number of threads."""
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Options(
        arguments.run,
        arguments.samples,
        arguments.seed,
        device,
        arguments.rate,
        minutes=arguments.minutes,
        start=arguments.start,
        only_export=arguments.export,
    )


def run_program(main: Callable[[], None]) -> None:
    """Run a program of this package; expected errors end it with one line."""
    try:
        main()
    except SegstudioError as error:
        sys.exit(f"error: {error}")
