"""Fine-tune the garment network on a project's labels: minutes, where a head takes seconds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_backend.models.blocks import Weights, autocast, fast_dtype, read_weights
from ml_backend.models.efficientnet import as_input
from segmentation_backend.learning import sampling
from segmentation_backend.learning.calibration import calibrate
from segmentation_backend.learning.evaluation import View, owners
from segmentation_backend.learning.example import IGNORE, LearningSet, Pixels, Progress
from segmentation_backend.learning.fine_tuned import FineTunedModel, adapted, metadata
from segmentation_backend.learning.outcome import LearningError
from segmentation_backend.learning.quick import Learned, Run
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.models.embedded import WEIGHTS, Recipe
from segmentation_backend.models.network import GarmentNetwork

SIDE: Final = 256  # of the square training pictures, in pixels
BATCH: Final = 4
PASSES: Final = 30  # over all images
MOST_STEPS: Final = 6_000
RATE: Final = 1e-3
ENCODER_RATE: Final = 0.25  # of the rate, for the encoder, which comes trained
SLOWEST: Final = 0.02  # of the rate, at the end
ZOOM: Final = (0.75, 1.5)  # range of random enlargements

Scene = tuple[Pixels, Pixels]  # a reduced photograph and its mask


def learn_thorough(
    data: LearningSet,
    previous: SegmentationModel,
    cache: Path,
    progress: Progress,
    *,
    device: str = "cpu",
    most_steps: int = MOST_STEPS,
) -> Learned:
    """Fine-tune the shipped garment network on a project's annotated images.

    Args:
        data: Annotated images.
        previous: Current model of the project.
        cache: Folder for features of images.
        progress: Notified of each step; may raise to stop the run.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.
        most_steps: Maximum number of training steps.

    Raises:
        LearningError: There are too few annotations.
    """
    run = Run(data, previous, cache, progress, device)
    if len(run.folds) > 1:
        raise LearningError(
            f"{len(data.examples)} annotated images are too few for thorough learning",
            "it starts at 25; quick learning starts earlier",
        )
    chosen = sampling.choose(run.folds[0].learned, sampling.MOST_IMAGES)
    scenes = [_reduced(view) for view, _ in run.views(chosen, "reading images")]
    shipped = read_weights(WEIGHTS)
    known = owners(Recipe.read(shipped).classes, data)
    network = GarmentNetwork(len(data.labels))
    network.load_state_dict(adapted(shipped.tensors, _starts(data, known)))
    steps = min(most_steps, max(1, PASSES * len(scenes) // BATCH))
    fine_tune(network, scenes, steps, progress, device)
    recipe = _recipe(data, Recipe.read(shipped).areas)
    model = FineTunedModel(_stored(network, recipe, run.countable), run.base, device)
    old, new = run.measured([previous], [model])
    line = calibrate(new.pairs)
    recipe = replace(recipe, slope=line.slope, offset=line.offset)
    calibrated = _stored(network, recipe, run.countable)
    return run.judged(FineTunedModel(calibrated, run.base, device), old, new, len(scenes))


def fine_tune(
    network: GarmentNetwork, scenes: Sequence[Scene], steps: int, progress: Progress, device: str
) -> None:
    """Train a network in place; its normalization keeps the shipped statistics."""
    network.to(device).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    optimizer = torch.optim.AdamW(_parameter_groups(network), lr=RATE, weight_decay=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, RATE * SLOWEST)
    rng = np.random.default_rng(0)
    for step in range(steps):
        progress.step("training", step, steps)
        loss = _loss(network, [_augmented(scenes, rng) for _ in range(BATCH)], device)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    progress.step("training", steps, steps)


def _loss(network: GarmentNetwork, batch: Sequence[Scene], device: str) -> Tensor:
    images = torch.from_numpy(np.stack([image for image, _ in batch])).to(device)
    masks = torch.from_numpy(np.stack([mask[::2, ::2] for _, mask in batch])).to(device).long()
    with autocast(images.device, fast_dtype(device)):
        logits, _ = network(as_input(images, torch.float32))
    return functional.cross_entropy(logits.float(), masks, ignore_index=IGNORE)


def _parameter_groups(network: GarmentNetwork) -> list[dict[str, Any]]:
    encoder = list(network.encoder.parameters())
    others = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    return [{"params": encoder, "lr": RATE * ENCODER_RATE}, {"params": others}]


def _reduced(view: View) -> Scene:
    """Reduce an image and its mask to the size for training."""
    scale = min(1.0, ZOOM[1] * SIDE / max(view.mask.shape))
    height, width = (max(1, round(length * scale)) for length in view.mask.shape)
    image = cv2.resize(view.image, (width, height), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(view.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(image, np.uint8), np.asarray(mask, np.uint8)


def _augmented(scenes: Sequence[Scene], rng: np.random.Generator) -> Scene:
    """Draw a scene (SIDE, SIDE), mirrored, enlarged, moved and lit at random."""
    image, mask = scenes[int(rng.integers(len(scenes)))]
    height, width = mask.shape
    scale = SIDE / max(height, width) * rng.uniform(*ZOOM)
    slack = np.abs(SIDE - scale * np.array([width, height])) / 2
    shift = SIDE / 2 - scale * np.array([width, height]) / 2 + rng.uniform(-slack, slack)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if rng.random() < 0.5:
        matrix[0] = (-scale, 0, SIDE - shift[0])
    size = (SIDE, SIDE)
    lit = np.clip(image * rng.uniform(0.8, 1.2, 3), 0, 255).astype(np.uint8)
    picture = cv2.warpAffine(lit, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    labels = cv2.warpAffine(
        mask, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(float(IGNORE),)
    )
    return np.asarray(picture, np.uint8), np.asarray(labels, np.uint8)


def _starts(data: LearningSet, known: Mapping[int, str]) -> list[int | None]:
    """Return the shipped class that each label starts from; None for a new one."""
    first = {label: number for number, label in reversed(list(known.items()))}
    return [0, *(first.get(label) for label in data.labels[1:])]


def _recipe(data: LearningSet, areas: tuple[int, ...]) -> Recipe:
    count = len(data.labels)
    return Recipe(data.labels, tuple(range(count)), (1.0,) * count, areas, 1.0, 0.0)


def _stored(network: GarmentNetwork, recipe: Recipe, countable: Sequence[str]) -> Weights:
    """Return the trained parameters as stored in a file, matrices in half precision."""
    tensors = {
        name: (value.half() if value.ndim > 1 else value).detach().contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    digest = hashlib.sha256(json.dumps(metadata(recipe, countable)).encode())
    for value in tensors.values():
        digest.update(value.numpy().tobytes())
    return Weights(tensors, metadata(recipe, countable), digest.hexdigest()[:8])
