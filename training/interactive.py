"""Train the promptable network: ``python -m training.interactive --data DIR``.

A sample is a part of a picture, one object in it, and a prompt. Most of the batches are answered
and corrected by up to five simulated clicks before the network learns from them, so that it
learns to refine its own mistakes (as RITM does: Sofiiuk et al., 2021).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from tqdm import tqdm

from ml_backend.models.blocks import as_batch, speed_up
from sam_backend.models.base import Box, Point, Prompts
from sam_backend.models.embedded import MARGIN, WIDE_MARGIN, EmbeddedPromptableModel
from sam_backend.models.frames import Frame, bounds, draw_click
from sam_backend.models.network import PromptNetwork
from synthetic.scenes import draw_scene
from synthetic.textures import smooth_noise
from training import augment
from training.clicks import Bools, centre_of, iou, next_click, random_inside
from training.data import Folder, Picture, read_photo, split
from training.loop import (
    BATCH,
    Options,
    Run,
    options_from,
    parser_for,
    run_program,
    save_network,
)

# Until which share of the samples, side of the input, share of drawn scenes.
CHAPTERS = ((0.45, 128, 0.2), (1.0, 192, 0.3))
ROUNDS = (0.35, 0.2, 0.15, 0.12, 0.1, 0.08)  # how often 0, 1, … 5 corrections come first
LEAST_AREA, LEAST_SIDE = 400, 13  # pixels; smaller regions are neither trained nor evaluated
SCENES = 1500  # drawn scenes kept in memory
Sample = tuple[Picture, Picture, Picture]


@dataclass(frozen=True, eq=False)
class Annotated:
    """A photograph with regions.

    Attributes:
        photo: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 indices into the folder's names.
        regions: The mask values that are regions of some size, and whether each is a garment.
    """

    photo: Picture
    mask: Picture
    regions: tuple[tuple[int, bool], ...]


def load_annotated(folder: Folder, photographs: Sequence[Path]) -> list[Annotated]:
    """Read photographs and find their regions: one for each name that appears."""
    found = []
    for path in tqdm(photographs, "reading photographs", leave=False):
        mask = folder.mask_of(path)
        regions = tuple(regions_of(mask, folder.names))
        if regions:
            found.append(Annotated(read_photo(path), mask, regions))
    return found


def regions_of(mask: Picture, names: Sequence[str]) -> list[tuple[int, bool]]:
    """The values of a mask that are regions of some size, and whether each is a garment."""
    values = [int(value) for value in np.unique(mask) if value and _is_region(mask == value)]
    return [(value, names[value] not in ("hair", "skin")) for value in values]


def _is_region(mask: Bools) -> bool:
    box = bounds(mask)
    if box is None or mask.sum() < LEAST_AREA:
        return False
    return min(box.right - box.left, box.bottom - box.top) >= LEAST_SIDE


@lru_cache(SCENES)
def _scene(seed: int) -> tuple[Picture, list[Bools]]:
    return draw_scene(seed)


class Crops(Dataset[Sample]):
    """Sample ``i`` is a random prompt for a random object, the same for the same seed."""

    def __init__(
        self, photographs: list[Annotated], side: int, seed: int, drawn: float = 0.2
    ) -> None:
        self.photographs, self.side, self.seed, self.drawn = photographs, side, seed, drawn
        self.index = [
            (number, value)
            for number, annotated in enumerate(photographs)
            for value, garment in annotated.regions
            for _ in range(3 if garment else 1)
        ]

    def __getitem__(self, index: int) -> Sample:
        """(S, S, 3) RGB, (S, S) truth 0 or 1, (4, S, S) prompt maps 0..255."""
        rng = np.random.default_rng((self.seed, index))
        picture, mask = self._drawn(rng) if rng.random() < self.drawn else self._photographed(rng)
        if rng.random() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        return self._prompted(rng, picture, np.ascontiguousarray(mask))

    def _drawn(self, rng: np.random.Generator) -> tuple[Picture, Bools]:
        picture, masks = _scene(int(rng.integers(SCENES)))
        large = [mask for mask in masks if _is_region(mask)]
        if not large:
            return self._photographed(rng)
        return picture, large[rng.integers(len(large))]

    def _photographed(self, rng: np.random.Generator) -> tuple[Picture, Bools]:
        number, value = self.index[rng.integers(len(self.index))]
        annotated = self.photographs[number]
        mask = annotated.mask == value
        kind = rng.random()
        if kind < 0.06:
            mask = np.isin(annotated.mask, [v for v, garment in annotated.regions if garment])
        elif kind < 0.16:
            mask = _one_part(rng, mask)
        return annotated.photo, mask if mask.any() else annotated.mask == value

    def _prompted(self, rng: np.random.Generator, picture: Picture, mask: Bools) -> Sample:
        tight = bounds(mask)
        assert tight is not None  # noqa: S101 - regions are never empty
        kind = rng.choice(("box", "everything", "near"), p=(0.5, 0.2, 0.3))
        box = _jitter(rng, tight, 0.04) if kind == "box" and rng.random() < 0.6 else tight
        height, width = mask.shape
        if kind == "everything":
            frame = Frame.around(Box(0, 0, width, height), np.exp(rng.normal(0, 0.08)))
        else:
            loose = _jitter(rng, box, 0.04 if kind == "box" else 0.12)
            margin = MARGIN if kind == "box" else rng.uniform(MARGIN, WIDE_MARGIN)
            frame = Frame.around(loose, margin * np.exp(rng.normal(0, 0.08)))
        seen = frame.cut(np.ascontiguousarray(picture), self.side)
        cover = frame.cut((mask * np.uint8(255)).astype(np.uint8), self.side) > 127
        maps = np.zeros((4, self.side, self.side), np.float32)
        maps[:3] = frame.draw_prompt(box if kind == "box" else None, (), self.side)
        if cover.any() and (kind != "box" or rng.random() < 0.15):
            spot = centre_of(cover) if rng.random() < 0.4 else random_inside(rng, cover)
            draw_click(maps[1], *spot)
        if rng.random() < {"box": 0.15, "everything": 0.0, "near": 0.75}[kind]:
            maps[3] = _rough(rng, cover)
        return augment.recolour(rng, seen), cover.astype(np.uint8), (maps * 255).astype(np.uint8)


def _one_part(rng: np.random.Generator, mask: Bools) -> Bools:
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    part = parts == rng.integers(1, max(2, count))
    return np.asarray(part) if _is_region(part) else mask


def _jitter(rng: np.random.Generator, box: Box, amount: float) -> Box:
    """Each edge moved by a normal share of the box's side."""
    wide, tall = box.right - box.left, box.bottom - box.top
    dx, dy = rng.normal(0, amount, 2) * wide, rng.normal(0, amount, 2) * tall
    left, top = box.left + dx[0], box.top + dy[0]
    return Box(left, top, max(box.right + dx[1], left + 4), max(box.bottom + dy[1], top + 4))


def _rough(rng: np.random.Generator, mask: Bools) -> npt.NDArray[np.float32]:
    """What a hasty look at ``mask`` could have found: a probability for each pixel."""
    side = mask.shape[0]
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), side * rng.uniform(0.008, 0.05))
    noise = smooth_noise(rng, side, side, int(rng.integers(3, 14))) * rng.uniform(0, 0.5)
    steep = rng.uniform(8, 20)
    return np.asarray(1 / (1 + np.exp(-steep * (blurred + noise - 0.5))), np.float32)


@torch.no_grad()
def correct(network: PromptNetwork, photos: Tensor, truth: Tensor, prompt: Tensor) -> Tensor:
    """One round: answer, click into the largest mistake of each, remember the answer.

    Returns:
        The new (B, 4, S, S) prompt.
    """
    logits, _ = network(photos, prompt)
    answers, wanted = (logits[:, 0] > 0).cpu().numpy(), truth.cpu().numpy() > 0
    after = prompt.clone()
    after[:, 3] = logits[:, 0].float().sigmoid()
    for number, (answer, want) in enumerate(zip(answers, wanted, strict=True)):
        click = next_click(want, answer)
        if click is not None:
            spot = np.zeros(want.shape, np.float32)
            draw_click(spot, int(click.x), int(click.y))
            layer = 1 if click.positive else 2
            after[number, layer] = torch.maximum(
                after[number, layer], torch.from_numpy(spot).to(after)
            )
    return after


def objective(logits: Tensor, quality: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy, soft IoU of each mask, and how well the IoU was foreseen."""
    logits, truth = logits[:, 0].float(), truth.float()
    chances = logits.sigmoid()
    both = (chances * truth).sum((1, 2))
    either = (chances + truth).sum((1, 2)) - both
    overlap = 1 - ((both + 1) / (either + 1)).mean()
    exact = functional.binary_cross_entropy_with_logits(logits, truth)
    hard = logits.detach() > 0
    met = (hard & (truth > 0)).sum((1, 2)) / (hard | (truth > 0)).sum((1, 2)).clamp(min=1)
    foreseen = functional.binary_cross_entropy_with_logits(quality.float(), met)
    return exact + overlap + 0.1 * foreseen


def answering(network: PromptNetwork, side: int) -> EmbeddedPromptableModel:
    """A copy of ``network`` as the backend runs it, on the CPU."""
    ready = copy.deepcopy(network)
    speed_up(ready, "cpu")
    return EmbeddedPromptableModel(ready, "in training", side)


def validate(network: PromptNetwork, side: int, unseen: Sequence[Annotated]) -> dict[str, float]:
    """Mean IoU over garment regions for a box, one centre click, and 5 corrections after it."""
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


def train(options: Options, folder: Folder, start: Path | None, workers: int) -> Run[PromptNetwork]:
    """Run both chapters, or what is left of them.

    Args:
        options: From the command line.
        folder: The labelled photographs.
        start: A checkpoint of ``training.segmentation``, whose encoder is taken over.
        workers: Processes that prepare samples.
    """
    torch.manual_seed(options.seed)
    network = PromptNetwork()
    if start is not None and start.exists():
        _take_encoder(network, start)
    run = Run(network, options)
    kept, held_out = split(folder.photographs())
    photographs = load_annotated(folder, kept)
    unseen = load_annotated(folder, held_out[::3])
    for share, side, drawn in CHAPTERS:
        until = int(options.samples * share) // BATCH * BATCH
        if run.seen < until:
            _train_chapter(
                run, Crops(photographs, side, options.seed, drawn), until, workers, unseen
            )
    return run


def _take_encoder(network: PromptNetwork, start: Path) -> None:
    state = torch.load(start, map_location="cpu", weights_only=True)["average"]
    prefix = "encoder."
    own = {name[len(prefix) :]: t for name, t in state.items() if name.startswith(prefix)}
    network.encoder.load_state_dict(own)


def _train_chapter(
    run: Run[PromptNetwork], crops: Crops, until: int, workers: int, unseen: list[Annotated]
) -> None:
    bar = tqdm(total=until, initial=run.seen, unit="img", desc=f"side {crops.side}", mininterval=10)
    for number, (photos, truth, maps) in enumerate(run.batches(crops, until, workers)):
        rng = np.random.default_rng((run.options.seed, run.seen, 1))
        pictures, prompt = as_batch(photos, torch.float32), maps.float() / 255
        with run.autocast():
            run.network.eval()
            for _ in range(rng.choice(len(ROUNDS), p=ROUNDS)):
                prompt = correct(run.network, pictures, truth, prompt)
            run.network.train()
            logits, quality = run.network(pictures, prompt)
        loss = objective(logits, quality, truth)
        run.step(loss, len(photos))
        bar.update(len(photos))
        if number % 100 == 99:
            run.save()
        if number % 400 == 399:
            run.log({"loss": loss.item(), **validate(run.average, crops.side, unseen)})
    run.save()
    run.log({"loss": loss.item(), **validate(run.average, crops.side, unseen)})


def main() -> None:
    """Train, validate, export."""
    parser = parser_for(__doc__, Path("runs/interactive"), 122_000)
    parser.add_argument(
        "--start",
        type=Path,
        default=Path("runs/segmentation/checkpoint.pt"),
        help="checkpoint of the garment network to take the encoder from",
    )
    arguments = parser.parse_args()
    options = options_from(arguments)
    if arguments.export:
        run = Run(PromptNetwork(), options)
    else:
        run = train(options, Folder.open(arguments.data), arguments.start, arguments.workers)
    save_network(run.average, options.run / "embedded.safetensors", {"side": str(CHAPTERS[-1][1])})


if __name__ == "__main__":
    run_program(main)
