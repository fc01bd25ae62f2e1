"""Train the garment network: ``python -m training.segmentation --data DIR``.

Chapters, small pictures first. From the second on, the averaged network of the one before labels
the photographs that have tags but no mask, each among the classes its tags allow, and they join in.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from tqdm import tqdm

from ml_backend.models.blocks import speed_up
from ml_backend.models.efficientnet import as_input
from ml_backend.models.imagenet import load_imagenet
from segmentation_backend.models.embedded import EmbeddedGarmentModel, Recipe
from segmentation_backend.models.network import ENCODER, GarmentNetwork
from synthetic.people import draw_figure
from training import augment, metrics
from training.calibration import fit, score_pairs
from training.chapters import CHAPTERS, RECIPE, TEACHER
from training.data import Folder, Picture, partition, presence, read_photo
from training.depthwise import quicken
from training.loop import (
    BATCH,
    Options,
    Run,
    options_from,
    parser_for,
    run_program,
    save_network,
)
from training.taxonomy import CLASSES, GROUP_OF_CLASS, GROUPS

UNKNOWN = 255
Sample = tuple[Picture, Picture, npt.NDArray[np.float32]]  # photo, labels at half size, tags
FREQUENT = 0.15  # a class in a larger share of the photographs needs no repeating
FROZEN = 2  # stages of the encoder, up to a quarter of the picture's size
SURE = 0.7  # share of the probability that a pseudo-label needs
KEPT = (576, 384)  # the size photographs are kept in memory at


@dataclass(frozen=True, eq=False)
class Example:
    """A photograph in memory.

    Attributes:
        photo: (576, 384, 3) uint8 RGB.
        labels: (h, w) uint8 in a size of its own; 255 where unknown.
        tags: (C,) float32: which classes may appear.
    """

    photo: Picture
    labels: Picture
    tags: npt.NDArray[np.float32]


def load_labelled(folder: Folder, photographs: Sequence[Path]) -> list[Example]:
    """Read photographs with their masks."""
    examples = []
    for path in tqdm(photographs, "reading photographs", leave=False):
        labels = folder.class_table[_fit(folder.mask_of(path), cv2.INTER_NEAREST)]
        examples.append(
            Example(_fit(read_photo(path), cv2.INTER_AREA), labels, presence(np.unique(labels)))
        )
    return examples


def load_tagged(folder: Path) -> list[Example]:
    """Read photographs that have tags and no mask; none where there is no such folder."""
    if not (folder / "tags.json").is_file():
        return []
    source = Folder(folder, ())
    tags = source.tags()
    blank = np.full((2, 2), UNKNOWN, np.uint8)
    return [
        Example(_fit(read_photo(path), cv2.INTER_AREA), blank, tags[path.stem])
        for path in tqdm(source.photographs(), "reading tagged photographs", leave=False)
        if path.stem in tags
    ]


def _fit(picture: Picture, method: int) -> Picture:
    return np.asarray(cv2.resize(picture, KEPT[::-1], interpolation=method), np.uint8)


def repeat_factors(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """How often to show each example, summing to 1: those with rare classes more (as LVIS does)."""
    if not examples:
        return np.zeros(0)
    tags = np.stack([example.tags for example in examples]).astype(np.float64)
    rarity = np.sqrt(FREQUENT / np.maximum(tags.mean(0), 1e-3)).clip(1, 4)
    factors = (tags * rarity).max(1).clip(1)
    return np.asarray(factors / factors.sum())


class Views(Dataset[Sample]):
    """Sample ``i`` is a random view of a random photograph, the same for the same seed."""

    def __init__(
        self,
        labelled: list[Example],
        tagged: list[Example],
        size: tuple[int, int],
        seed: int,
        drawn: float,
        zoom: tuple[float, float] = augment.ZOOM,
        share: float = 0.28,
    ) -> None:
        """See ``Chapter``; ``share`` is that of ``tagged``."""
        self.labelled, self.tagged, self.size, self.seed = labelled, tagged, size, seed
        self.drawn, self.zoom, self.share = drawn, zoom, share
        self.chances = [repeat_factors(examples) for examples in (labelled, tagged)]

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        if kind < self.drawn:
            return self._figure(rng)
        if kind < self.drawn + self.share and self.tagged:
            return self._view(rng, self.tagged[rng.choice(len(self.tagged), p=self.chances[1])])
        return self._view(rng, self.labelled[rng.choice(len(self.labelled), p=self.chances[0])])

    def _figure(self, rng: np.random.Generator) -> Sample:
        rows, columns = self.size
        drawn = draw_figure(int(rng.integers(2**31)), rows, columns)
        labels = np.zeros(self.size, np.uint8)
        for name, mask in (*drawn.masks.items(), *drawn.body.items()):
            labels[mask] = CLASSES.index(name)
        half = np.ascontiguousarray(labels[::2, ::2])
        return augment.recolour(rng, drawn.image), half, presence(np.unique(half))

    def _view(self, rng: np.random.Generator, example: Example) -> Sample:
        view = augment.random_view(rng, KEPT, self.size, self.zoom)
        photo = augment.warp(example.photo, view, self.size)
        half = (self.size[0] // 2, self.size[1] // 2)
        labels = augment.warp_labels(example.labels, _between(view, example.labels.shape), half)
        whole = not (labels == UNKNOWN).any()
        if whole and rng.random() < 0.15:
            photo = augment.replace_background(rng, photo, labels == 0)
        tags = presence(np.unique(labels)) if whole else example.tags
        return augment.recolour(rng, photo), labels, tags


def _between(view: augment.Matrix, labels: tuple[int, ...]) -> augment.Matrix:
    """``view``, from the pixels of a label picture to those of the half-size target."""
    grow = np.diag((KEPT[1] / labels[1], KEPT[0] / labels[0]))
    return np.column_stack([view[:, :2] @ grow / 2, view[:, 2] / 2])


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
        """One number.

        Args:
            logits: (B, C, h, w).
            seen: (B, C) logits of each class appearing.
            labels: (B, h, w), 255 where unknown.
            tags: (B, C), 1 where the class may appear.
        """
        logits = logits.permute(0, 2, 3, 1).float()
        likely = logits.log_softmax(-1)
        known = labels != UNKNOWN
        truth = labels.long().clamp(max=len(CLASSES) - 1)
        loss = 0.2 * functional.binary_cross_entropy_with_logits(seen.float(), tags)
        if known.any():
            loss = loss + self._known(likely[known], truth[known])
        if not known.all():
            loss = loss + 0.3 * _impossible(likely, tags, ~known)
        return loss

    def _known(self, likely: Tensor, truth: Tensor) -> Tensor:
        chances = likely.exp()
        exact = functional.nll_loss(likely, truth, self.weights)
        groups = chances @ self.member
        group = self.member.argmax(1)[truth]
        coarse = functional.nll_loss(groups.clamp(min=1e-6).log(), group)
        return exact + 0.5 * coarse + 0.5 * _dice(groups, group) + 0.25 * _dice(chances, truth)


def _dice(chances: Tensor, truth: Tensor) -> Tensor:
    """1 minus the mean soft Dice of the classes that appear; (N, C) and (N,)."""
    classes = chances.shape[1]
    hit = torch.zeros(classes, device=chances.device).index_add(
        0, truth, chances.gather(1, truth[:, None]).squeeze(1)
    )
    size = torch.bincount(truth, minlength=classes)
    dice = (2 * hit + 1) / (chances.sum(0) + size + 1)
    return 1 - dice[size > 0].mean()


def _impossible(likely: Tensor, tags: Tensor, where: Tensor) -> Tensor:
    """How much goes to classes that the tags exclude, at pixels of unknown class."""
    allowed = likely + torch.where(tags > 0, 0.0, -1e4)[:, None, None, :]
    return allowed.logsumexp(-1)[where].mean().neg()


def answering(run: Run[GarmentNetwork], recipe: Recipe) -> EmbeddedGarmentModel:
    """Return the averaged network as the backend runs it."""
    ready = copy.deepcopy(run.average)
    dtype = speed_up(ready, run.options.device)
    return EmbeddedGarmentModel(ready, recipe, "in training", dtype, run.options.device)


def validate(model: EmbeddedGarmentModel, examples: Sequence[Example]) -> dict[str, float]:
    """Scores on photographs as they are kept in memory."""
    total = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for example in examples:
        total += metrics.confusion(example.labels, model.classify([example.photo])[0].indices)
    return metrics.scores(total)


def pseudo_label(
    model: EmbeddedGarmentModel, tagged: Sequence[Example], kept: Path
) -> list[Example]:
    """Label tagged photographs, each among its tags; from ``kept`` if that was done before."""
    if not kept.exists():
        found = [_sure_labels(model, example) for example in tqdm(tagged, "labelling", leave=False)]
        partial = kept.with_suffix(".partial.npy")  # numpy adds .npy where it is missing
        np.save(partial, np.stack(found))
        partial.replace(kept)
    return [
        Example(example.photo, labels, example.tags)
        for example, labels in zip(tagged, np.load(kept), strict=True)
    ]


def _sure_labels(model: EmbeddedGarmentModel, example: Example) -> Picture:
    found = model.chances([example.photo])[0] * example.tags[:, None, None]
    labels = found.argmax(0).astype(np.uint8)
    around = np.ones((3, 3), np.uint8)
    inner = cv2.dilate(labels, around) == cv2.erode(labels, around)  # a border is never sure
    sure = inner & (found.max(0) > SURE * found.sum(0))
    return np.where(sure, labels, UNKNOWN).astype(np.uint8)


def begin(options: Options) -> Run[GarmentNetwork]:
    """Resume the run, or begin one from ImageNet weights."""
    network = GarmentNetwork(len(CLASSES))
    load_imagenet(network.encoder, ENCODER)
    # Edges and textures are those of ImageNet: half of a step's time would go into their gradients.
    network.encoder.stem.requires_grad_(False)
    network.encoder.stages[:FROZEN].requires_grad_(False)
    return Run(network, options)


def train(
    options: Options, folder: Folder, tagged_folder: Path, workers: int
) -> Run[GarmentNetwork]:
    """Run all chapters, or what is left of them."""
    torch.manual_seed(options.seed)
    run = begin(options)
    if options.device == "cpu":
        quicken(run.network)
    parts = partition(folder.photographs())
    labelled = load_labelled(folder, parts.training)
    unseen = load_labelled(folder, parts.validation)
    tagged = load_tagged(tagged_folder)
    objective = Objective(labelled, options.device)
    for number, chapter in enumerate(CHAPTERS):
        until = int(options.samples * chapter.until) // BATCH * BATCH
        if run.seen >= until:
            continue
        taught = options.run / f"pseudo-labels-{number}.npy"
        joined = tagged
        if number and tagged:
            joined = pseudo_label(answering(run, TEACHER), tagged, taught)
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
            until,
            workers,
            objective,
            unseen,
        )
    return run


def _train_chapter(
    run: Run[GarmentNetwork],
    views: Views,
    until: int,
    workers: int,
    objective: Objective,
    unseen: list[Example],
) -> None:
    name = f"{views.size[0]}x{views.size[1]}"
    bar = tqdm(total=until, initial=run.seen, unit="img", desc=name, mininterval=10)
    for number, (photos, labels, tags) in enumerate(run.batches(views, until, workers)):
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
    """Export with scores calibrated on the validation part; returns the file's path."""
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
