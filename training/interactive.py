"""Train the promptable network: ``python -m training.interactive --data DIR``.

A sample is a part of a picture, one object in it, and a prompt. Most batches are answered and
corrected by up to five simulated clicks before the network learns from them, so that it learns
to refine its own mistakes (like RITM: Sofiiuk et al., 2021).
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from tqdm import tqdm

from ml_backend.models.blocks import read_weights, speed_up
from ml_backend.models.efficientnet import EfficientNetLite, as_input
from ml_backend.models.imagenet import load_imagenet
from sam_backend.models.base import Box, Point, Prompts
from sam_backend.models.colours import color_bins, color_evidence, known_chances
from sam_backend.models.embedded import MARGIN, WIDE_MARGIN, EmbeddedPromptableModel
from sam_backend.models.frames import Frame, bounds, draw_click
from sam_backend.models.network import (
    LOOKED,
    PROMPT_CHANNELS,
    PromptNetwork,
    is_vague,
    likeliest,
)
from synthetic.textures import smooth_noise
from training import augment
from training.clicks import Bools, centre_of, iou, next_click, random_inside
from training.collages import Collages, OpenPictures
from training.data import Folder, Picture, partition, read_photo
from training.depthwise import quicken
from training.loop import (
    Options,
    Run,
    options_from,
    parser_for,
    run_program,
    save_network,
)
from training.objects import (
    Annotated,
    Found,
    Garments,
    Scenes,
    Things,
    load_annotated,
)
from training.pseudo_objects import find_things

# Until which share of the run, and side of the input.
CHAPTERS = ((0.16, 128), (0.6, 192), (1.0, 224))
DECAY = 0.5  # share of the run over which the learning rate falls to zero
SHARES = (0.45, 0.35, 0.08, 0.12)  # of garments, collages, drawn scenes, things of photographs
FINAL_SHARES = (0.7, 0.18, 0.04, 0.08)  # the same, in a run that starts from trained weights
ROUNDS = (0.45, 0.19, 0.12, 0.1, 0.08, 0.06)  # how often 0, 1, … 5 corrections come first
SERVED = 224  # side that the trained network answers best at, on validation
LOOKS_AGAIN = (0.15, 0.35)  # how often a round adds no click: a second look; at a vague prompt
DOUBTED = 0.5  # how often a round goes on with any hypothesis, not the likeliest
JUDGED = 0.25  # weight of the judge's loss
LOOSE = 0.35  # how often a box is not tight
SEARCHED = 400  # unlabeled photographs
VALIDATED = 500  # batches between two validations
Sample = tuple[Picture, Picture, Picture]


class Source(Protocol):
    """Source of pictures with an object."""

    def draw(self, rng: np.random.Generator) -> tuple[Picture, Bools]:
        """Return an (H, W, 3) uint8 picture and the (H, W) mask of an object in it."""
        ...


class Crops(Dataset[Sample]):
    """Sample ``i`` is a random prompt for a random object, the same for the same seed.

    Args:
        sources: Sources of objects.
        shares: Relative frequency of each source.
        side: Side of the network's input in pixels.
        seed: Random seed of all samples.
    """

    def __init__(
        self, sources: Sequence[Source], shares: Sequence[float], side: int, seed: int
    ) -> None:
        self.sources, self.side, self.seed = sources, side, seed
        self.shares = np.array(shares) / sum(shares)

    def __getitem__(self, index: int) -> Sample:
        """Return (S, S, 3) RGB, (S, S) truth 0 or 1, (5, S, S) prompt maps 0..255."""
        rng = np.random.default_rng((self.seed, index))
        source = self.sources[rng.choice(len(self.sources), p=self.shares)]
        picture, cover, maps = self._prompted(rng, *source.draw(rng))
        if rng.random() < 0.5:
            picture, cover, maps = picture[:, ::-1], cover[:, ::-1], maps[..., ::-1]
        return picture.copy(), cover.copy(), maps.copy()

    def _prompted(self, rng: np.random.Generator, picture: Picture, mask: Bools) -> Sample:
        tight = bounds(mask)
        assert tight is not None  # noqa: S101 - regions are never empty
        kind = rng.choice(("box", "everything", "near"), p=(0.45, 0.27, 0.28))
        box = _jitter(rng, tight, 0.03) if kind == "box" and rng.random() < LOOSE else tight
        height, width = mask.shape
        if kind == "everything":
            frame = Frame.around(Box(0, 0, width, height), np.exp(rng.normal(0, 0.08)))
        else:
            loose = _jitter(rng, box, 0.04 if kind == "box" else 0.12)
            margin = MARGIN if kind == "box" else rng.uniform(MARGIN, WIDE_MARGIN)
            frame = Frame.around(loose, margin * np.exp(rng.normal(0, 0.08)))
        seen = frame.cut(picture, self.side)
        cover = frame.cut(mask.view(np.uint8) * np.uint8(255), self.side) > 127
        maps = np.zeros((PROMPT_CHANNELS, self.side, self.side), np.float32)
        maps[:3] = frame.draw_prompt(box if kind == "box" else None, (), self.side)
        if cover.any() and (kind != "box" or rng.random() < 0.15):
            spot = centre_of(cover) if rng.random() < 0.4 else random_inside(rng, cover)
            draw_click(maps[1], *spot)
        if rng.random() < {"box": 0.15, "everything": 0.0, "near": 0.75}[kind]:
            maps[3] = _rough(rng, cover)
        seen = augment.recolour(rng, seen)
        maps[4] = color_evidence(color_bins(seen), known_chances(maps)) / 2 + 0.5
        return seen, cover.astype(np.uint8), (maps * 255).astype(np.uint8)


def _jitter(rng: np.random.Generator, box: Box, amount: float) -> Box:
    """Return a box with each edge moved by a normal fraction of the box's side."""
    wide, tall = box.right - box.left, box.bottom - box.top
    dx, dy = rng.normal(0, amount, 2) * wide, rng.normal(0, amount, 2) * tall
    left, top = box.left + dx[0], box.top + dy[0]
    return Box(left, top, max(box.right + dx[1], left + 4), max(box.bottom + dy[1], top + 4))


def _rough(rng: np.random.Generator, mask: Bools) -> npt.NDArray[np.float32]:
    """Return a rough estimate of ``mask``: a probability for each pixel."""
    side = mask.shape[0]
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side * rng.uniform(0.008, 0.05))
    noise = smooth_noise(rng, side, side, int(rng.integers(3, 14))) * rng.uniform(0, 0.5)
    steep = rng.uniform(8, 20)
    return np.asarray(1 / (1 + np.exp(-steep * (blurred + noise - 0.5))), np.float32)


@torch.no_grad()
def correct(
    network: PromptNetwork,
    seen: list[Tensor],
    bins: Sequence[npt.NDArray[np.intp]],
    truth: Tensor,
    prompt: Tensor,
    rng: np.random.Generator,
) -> Tensor:
    """Play one round: answer, click into the largest mistake of each, add the answer.

    Args:
        network: Network in training.
        seen: Features from ``look``.
        bins: Color bins of each picture from ``color_bins``.
        truth: True masks (B, S, S), 0 or 1.
        prompt: Prompts (B, 5, S, S).
        rng: Random generator of the clicks.

    Returns:
        Next (B, 5, S, S) prompt.
    """
    logits, quality = network(seen, prompt)
    vague = is_vague(prompt).cpu().numpy()
    if rng.random() < DOUBTED:
        quality = torch.from_numpy(rng.random(quality.shape))
    logits = likeliest(logits, quality, prompt)[0].float()
    answers, wanted = (logits > 0).cpu().numpy(), truth.cpu().numpy() > 0
    after = prompt.cpu().float().numpy()
    after[:, 3] = logits.sigmoid().cpu().numpy()
    for number, (answer, want) in enumerate(zip(answers, wanted, strict=True)):
        click = next_click(want, answer, rng if rng.random() < 0.5 else None)
        if click is not None and rng.random() > LOOKS_AGAIN[int(vague[number])]:
            draw_click(after[number, 1 if click.positive else 2], int(click.x), int(click.y))
        after[number, 4] = color_evidence(bins[number], known_chances(after[number]))
    return torch.from_numpy(after).to(prompt)


def objective(
    logits: Tensor, quality: Tensor, truth: Tensor, prompt: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss of the answers, and of the predicted IoUs.

    The first hypothesis answers every prompt. Of the others, only the best one learns, and only
    if a single click is ambiguous.

    Args:
        logits: Logits (B, 4, S, S) of the hypotheses.
        quality: Logits (B, 4) of the predicted IoUs.
        truth: True masks (B, S, S), 0 or 1.
        prompt: Prompts (B, 5, S, S) that were answered.
    """
    wanted = truth[:, None].float()
    loss = _mask_loss(logits[:, :1], wanted).mean()
    vague = is_vague(prompt)
    if vague.any():
        meant = _mask_loss(logits[vague, 1:], wanted[vague])
        loss = loss + (meant.min(1).values + 0.03 * meant.sum(1)).sum() / len(logits)
    hard, there = logits > 0, truth[:, None] > 0
    met = (hard & there).sum((2, 3)) / (hard | there).sum((2, 3)).clamp(min=1)
    return loss, functional.binary_cross_entropy_with_logits(quality, met)


def _mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return (B, K): cross entropy and soft IoU loss of (B, K, S, S) for (B, 1, S, S)."""
    wanted = wanted.expand_as(logits)
    chances = logits.sigmoid()
    both = (chances * wanted).sum((2, 3))
    either = (chances + wanted).sum((2, 3)) - both
    exact = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return exact.mean((2, 3)) + 1 - (both + 1) / (either + 1)


def answering(network: PromptNetwork, side: int) -> EmbeddedPromptableModel:
    """Return a copy of ``network`` for inference on the CPU, as in the backend."""
    ready = copy.deepcopy(network)
    speed_up(ready, "cpu")
    return EmbeddedPromptableModel(ready, "in training", side)


def validate(network: PromptNetwork, side: int, unseen: Sequence[Annotated]) -> dict[str, float]:
    """Return the mean IoU over garments for a box, one centre click, and 5 corrections after it."""
    model = answering(network, side)
    results: dict[str, list[float]] = {"box": [], "click": [], "corrected": []}
    for annotated in unseen:
        embedding = model.embed(annotated.photo)
        for value in (value for value, garment in annotated.regions if garment):
            truth = annotated.mask == value
            x, y = centre_of(truth)
            points: tuple[Point, ...] = (Point(x + 0.5, y + 0.5),)
            answer = model.segment(embedding, Prompts(bounds(truth)))
            results["box"].append(iou(truth, answer.pixels))
            answer = model.segment(embedding, Prompts(None, points))
            results["click"].append(iou(truth, answer.pixels))
            for _ in range(5):
                click = next_click(truth, answer.pixels)
                if click is None:
                    break
                points = (*points, click)
                answer = model.segment(embedding, Prompts(None, points), answer)
            results["corrected"].append(iou(truth, answer.pixels))
    return {name: float(np.mean(values)) for name, values in results.items()}


def find_all(folder: Path, kept: Path) -> list[Found]:
    """Find things in a folder's photographs, or read earlier results from ``kept``."""
    photographs = sorted((folder / "photos").glob("*.jpg"))[:SEARCHED]
    if not kept.exists():
        encoder = EfficientNetLite("lite0").eval()
        load_imagenet(encoder, "lite0")
        things: dict[str, npt.NDArray[np.uint8]] = {}
        for path in tqdm(photographs, "searching photographs", leave=False):
            photo = read_photo(path)
            masks = find_things(photo, encoder)
            empty = np.zeros((0, *photo.shape[:2]), np.bool_)
            things[path.stem] = np.packbits(np.stack(masks) if masks else empty, axis=2)
        partial = kept.with_suffix(".partial.npz")
        np.savez_compressed(partial, allow_pickle=False, **things)
        partial.replace(kept)
    with np.load(kept) as saved:
        return [Found(read_photo(path), saved[path.stem]) for path in photographs]


def train(
    options: Options,
    folder: Folder,
    unlabeled: Path,
    workers: int,
    pictures: Path | None = None,
) -> Run[PromptNetwork]:
    """Run all remaining chapters, or only the last one if started from trained weights.

    Args:
        options: Options of the command line.
        folder: Data set with masks.
        unlabeled: Folder of ``photos/`` without masks; may be empty.
        workers: Number of processes that prepare samples.
        pictures: Folder of openly licensed pictures for collages, if there is one.
    """
    torch.manual_seed(options.seed)
    run = Run(_pretrained(options.start), options)
    quicken(run.network)
    parts = partition(folder.photographs())
    garments, scenes = Garments(load_annotated(folder, parts.training)), Scenes()
    found = find_all(unlabeled, options.run / "things.npz")
    photos = [each.photo for each in garments.photographs] + [each.photo for each in found]
    things = Things(found)
    collages = Collages(photos, garments, scenes, OpenPictures.read(pictures) if pictures else None)
    sources = (garments, collages, scenes, things)
    unseen = load_annotated(folder, parts.validation[::10])
    shares = SHARES if options.start is None else FINAL_SHARES
    shares = (*shares[:3], shares[3] if len(things) else 0.0)
    for end, side in CHAPTERS if options.start is None else CHAPTERS[-1:]:
        if not run.reached(end):
            _train_chapter(run, Crops(sources, shares, side, options.seed), end, workers, unseen)
    return run


def _pretrained(start: Path | None = None) -> PromptNetwork:
    """Return a network with ImageNet's encoder or trained weights; picture-only stages frozen."""
    network = PromptNetwork()
    if start is None:
        load_imagenet(network.encoder, "lite0")
    else:
        network.load_state_dict(read_weights(start).tensors)
    for part in (network.encoder.stem, *network.encoder.stages[:LOOKED]):
        part.requires_grad_(False)
    return network


def _train_chapter(
    run: Run[PromptNetwork], crops: Crops, end: float, workers: int, unseen: list[Annotated]
) -> None:
    bar = tqdm(
        total=run.total(end),
        initial=run.seen,
        unit="img",
        desc=f"side {crops.side}",
        mininterval=20,
    )
    for number, (photos, truth, maps) in enumerate(run.batches(crops, end, workers)):
        rng = np.random.default_rng((run.options.seed, run.seen, 1))
        prompt = maps.float() / 255
        prompt[:, 4] = 2 * prompt[:, 4] - 1
        bins = [color_bins(photo) for photo in photos.cpu().numpy()]
        run.network.eval()
        with torch.no_grad(), run.autocast():
            seen = run.network.look(as_input(photos, torch.float32))
            for _ in range(rng.choice(len(ROUNDS), p=ROUNDS)):
                prompt = correct(run.network, seen, bins, truth, prompt, rng)
        run.network.train()
        run.network.encoder.eval()  # statistics stay ImageNet's
        with run.autocast():
            logits, quality = run.network(seen, prompt)
        loss, misjudged = objective(logits.float(), quality.float(), truth, prompt)
        run.step(loss + JUDGED * misjudged, len(photos))
        bar.update(len(photos))
        if number % 100 == 99:
            run.save()
        if number % VALIDATED == VALIDATED - 1:
            run.log({"loss": loss.item(), **validate(run.average, crops.side, unseen)})
    run.save()
    run.log({"loss": loss.item(), **validate(run.average, crops.side, unseen)})


def main() -> None:
    """Train, validate, export."""
    parser = parser_for(__doc__, Path("runs/interactive"), 70_000)
    parser.add_argument(
        "--unlabeled",
        type=Path,
        help="folder of photos/ without masks, searched for things; default: unlabelled/ next to "
        "--data",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        help="folder of openly licensed pictures for collages: with transparency things, without "
        "scenery; docs/models/embedded-prompts.md names them",
    )
    arguments = parser.parse_args()
    options = replace(options_from(arguments), decay=DECAY)
    if arguments.export:
        run = Run(_pretrained(), options)
    else:
        unlabeled = arguments.unlabeled or arguments.data.parent / "unlabelled"
        run = train(
            options,
            Folder.open(arguments.data),
            unlabeled,
            workers=arguments.workers,
            pictures=arguments.pictures,
        )
    save_network(run.average, options.run / "embedded.safetensors", {"side": str(SERVED)})


if __name__ == "__main__":
    run_program(main)
