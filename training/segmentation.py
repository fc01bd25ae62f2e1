"""Train the garment network: ``python -m training.segmentation --data DIR``.

Chapters with growing pictures. From the second on, the averaged network of the previous chapter
labels the photographs with tags and without masks, each among the classes its tags allow.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from ml_backend.models.blocks import read_weights, speed_up
from ml_backend.models.efficientnet import as_input
from ml_backend.models.imagenet import load_imagenet
from segmentation_backend.models.embedded import EmbeddedGarmentModel, Recipe
from segmentation_backend.models.network import ENCODER, GarmentNetwork
from training import metrics
from training.calibration import fit, score_pairs
from training.chapters import CHAPTERS, RECIPE, TEACHER
from training.data import Folder, partition, read_photo
from training.depthwise import quicken
from training.garment_samples import (
    DISPUTED,
    UNKNOWN,
    Example,
    Views,
    load_labelled,
    load_tagged,
)
from training.loop import (
    Options,
    Run,
    options_from,
    parser_for,
    run_program,
    save_network,
)
from training.pseudo_labels import least_shares, pseudo_label
from training.taxonomy import CLASSES, GROUP_OF_CLASS, GROUPS

LATER = 2  # number of the first chapter of a run that starts from an earlier run's weights
FROZEN = 2  # stages of the encoder, up to a quarter of the picture's size


class Objective:
    """The loss, with weights for rare classes from the training masks."""

    def __init__(self, labelled: Sequence[Example], device: str) -> None:
        counts = sum(np.bincount(e.labels.ravel(), minlength=256)[: len(CLASSES)] for e in labelled)
        share = np.maximum(counts / np.sum(counts), 1e-5)
        weights = np.clip((0.02 / share) ** 0.3, 0.5, 3.0)
        self.weights = torch.tensor(weights, dtype=torch.float32, device=device)
        member = torch.eye(len(GROUPS), device=device)[list(GROUP_OF_CLASS)]
        self.member = member  # (C, G)

    def __call__(self, logits: Tensor, seen: Tensor, labels: Tensor, tags: Tensor) -> Tensor:
        """Return the loss as a scalar.

        Args:
            logits: Logits (B, C, h, w).
            seen: Logits (B, C) of each class appearing.
            labels: Labels (B, h, w), 255: unknown, 254: disputed.
            tags: Possible classes (B, C), 1 if the class may appear.
        """
        logits = logits.permute(0, 2, 3, 1).float()
        likely = logits.log_softmax(-1)
        known, unknown = labels < DISPUTED, labels == UNKNOWN
        truth = labels.long().clamp(max=len(CLASSES) - 1)
        loss = 0.2 * functional.binary_cross_entropy_with_logits(seen.float(), tags)
        if known.any():
            loss = loss + self._known(likely[known], truth[known])
        if unknown.any():
            loss = loss + 0.3 * _impossible(likely, tags, unknown)
        return loss

    def _known(self, likely: Tensor, truth: Tensor) -> Tensor:
        chances = likely.exp()
        exact = functional.nll_loss(likely, truth, self.weights)
        groups = chances @ self.member
        group = self.member.argmax(1)[truth]
        coarse = functional.nll_loss(groups.clamp(min=1e-6).log(), group)
        return exact + 0.5 * coarse + 0.5 * _dice(groups, group) + 0.25 * _dice(chances, truth)


def _dice(chances: Tensor, truth: Tensor) -> Tensor:
    """Return 1 minus the mean soft Dice of the classes that appear; (N, C) and (N,)."""
    classes = chances.shape[1]
    hit = torch.zeros(classes, device=chances.device).index_add(
        0, truth, chances.gather(1, truth[:, None]).squeeze(1)
    )
    size = torch.bincount(truth, minlength=classes)
    dice = (2 * hit + 1) / (chances.sum(0) + size + 1)
    return 1 - dice[size > 0].mean()


def _impossible(likely: Tensor, tags: Tensor, where: Tensor) -> Tensor:
    """Return the probability of classes that the tags exclude, at pixels of unknown class."""
    allowed = likely + torch.where(tags > 0, 0.0, -1e4)[:, None, None, :]
    return allowed.logsumexp(-1)[where].mean().neg()


def answering(run: Run[GarmentNetwork], recipe: Recipe) -> EmbeddedGarmentModel:
    """Return the averaged network for inference, as in the backend."""
    ready = copy.deepcopy(run.average)
    dtype = speed_up(ready, run.options.device)
    return EmbeddedGarmentModel(ready, recipe, "in training", dtype, run.options.device)


def validate(model: EmbeddedGarmentModel, examples: Sequence[Example]) -> dict[str, float]:
    """Return scores on photographs in their size in memory."""
    total = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for example in examples:
        total += metrics.confusion(example.labels, model.classify([example.photo])[0].indices)
    return metrics.scores(total)


def begin(options: Options) -> Run[GarmentNetwork]:
    """Resume the run, or start one from ImageNet's weights or those of an earlier run."""
    network = GarmentNetwork(len(CLASSES))
    if options.start:
        network.load_state_dict(read_weights(options.start).tensors)
    else:
        load_imagenet(network.encoder, ENCODER)
    # Edges and textures are ImageNet's: their gradients would take half of a step's time.
    network.encoder.stem.requires_grad_(False)
    network.encoder.stages[:FROZEN].requires_grad_(False)
    return Run(network, options)


def train(
    options: Options, folder: Folder, tagged_folder: Path, workers: int
) -> Run[GarmentNetwork]:
    """Run all remaining chapters; from an earlier run's weights, only the last ones."""
    torch.manual_seed(options.seed)
    run = begin(options)
    if options.device == "cpu":
        quicken(run.network)
    parts = partition(folder.photographs())
    labelled = load_labelled(folder, parts.training)
    unseen = load_labelled(folder, parts.validation)
    tagged = load_tagged(tagged_folder)
    objective, least = Objective(labelled, options.device), least_shares(labelled)
    for number, chapter in enumerate(CHAPTERS):
        if run.reached(chapter.until) or (options.start and number < LATER):
            continue
        taught = options.run / f"pseudo-labels-{number}.npy"
        joined = tagged
        if number and tagged:
            joined = pseudo_label(answering(run, TEACHER), tagged, least, taught)
        _train_chapter(
            run,
            Views(
                labelled,
                joined,
                chapter.size,
                options.seed,
                chapter.drawn,
                chapter.zoom,
                chapter.tagged,
            ),
            chapter.until,
            workers,
            objective,
            unseen,
        )
    return run


def _train_chapter(
    run: Run[GarmentNetwork],
    views: Views,
    end: float,
    workers: int,
    objective: Objective,
    unseen: list[Example],
) -> None:
    name = f"{views.size[0]}x{views.size[1]}"
    bar = tqdm(total=run.total(end), initial=run.seen, unit="img", desc=name, mininterval=10)
    for number, (photos, labels, tags) in enumerate(run.batches(views, end, workers)):
        run.network.train()
        run.network.encoder.eval()  # normalizes as on ImageNet
        with run.autocast():
            logits, seen = run.network(as_input(photos, torch.float32))
        loss = objective(logits, seen, labels, tags)
        run.step(loss, len(photos))
        bar.update(len(photos))
        if number % 100 == 99:
            run.save()
        if number % 400 == 399:
            run.log({"loss": loss.item(), **validate(answering(run, RECIPE), unseen)})
    run.save()
    run.log({"loss": loss.item(), **validate(answering(run, RECIPE), unseen)})


def export_calibrated(run: Run[GarmentNetwork], folder: Folder) -> Path:
    """Export with scores calibrated on the validation part; return the file's path."""
    path = run.options.run / "embedded.safetensors"
    save_network(run.average, path, RECIPE.metadata())
    model = EmbeddedGarmentModel.load(path)
    pairs = []
    for photo in tqdm(partition(folder.photographs()).validation, "calibrating", leave=False):
        labels = folder.class_table[folder.mask_of(photo)]
        pairs += score_pairs(labels, model.classify([read_photo(photo)])[0])
    slope, offset = fit(pairs)
    save_network(run.average, path, replace(RECIPE, slope=slope, offset=offset).metadata())
    return path


def main() -> None:
    """Train, validate, calibrate, export."""
    parser = parser_for(__doc__, Path("runs/segmentation"), 110_000)
    parser.add_argument(
        "--tagged",
        type=Path,
        help="folder of photos/ and tags.json; default: unlabelled/ next to --data",
    )
    arguments = parser.parse_args()
    options, folder = options_from(arguments), Folder.open(arguments.data)
    if arguments.export:
        run = begin(options)
    else:
        tagged = arguments.tagged or arguments.data.parent / "unlabelled"
        run = train(options, folder, tagged, arguments.workers)
    export_calibrated(run, folder)


if __name__ == "__main__":
    run_program(main)
