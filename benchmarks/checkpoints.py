"""Checkpoints of transformers with random weights, compared with the library's own classes.

``python -m benchmarks.checkpoints ours|library FOLDER`` prints the memory of a process that has
answered one image with a checkpoint.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from benchmarks.bare import HEIGHT, WIDTH
from benchmarks.measure import Figure, Spread, in_turns
from benchmarks.processes import MB, taken
from ml_backend.models.sam3 import is_sam3
from segmentation_backend.models.base import SegmentationModel, TextPromptedModel
from segmentation_backend.models.registry import load_folder
from tests.support import tiny_sam3

hf: Any = transformers
"""Untyped: configs take more than their signatures say."""

THROUGHPUT = 0.9
"""Minimum throughput relative to the library."""

SAM3_SIDE = 512
"""Input side of SAM 3's stand-in in pixels, half of the published one: the network counts, not what
comes around it."""

PHRASES = ("dress", "shoe", "bag", "hat", "scarf")
_NAMES = {number: f"class {number}" for number in range(18)}

Image = npt.NDArray[np.uint8]
Answer = Callable[[Image], object]


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure time and memory of each kind of checkpoint, in turns on the same photograph.

    Args:
        folder: Folder for the checkpoints.
        turns: Number of paired answers.
    """
    image = _image()
    for name, save in CHECKPOINTS.items():
        place = folder / name
        torch.manual_seed(0)
        save(place)
        ours, library = (find(place) for find in (_ours, _library))
        pairs = in_turns(lambda _, f=ours: f(image), lambda _, f=library: f(image), turns)  # type: ignore[misc]
        share = 1 / pairs.ratio.median
        goal = f"≥ {THROUGHPUT} of its throughput: {share:.2f}"
        yield pairs.times(f"{name}: one image", "transformers", goal, share >= THROUGHPUT)
        yield _memory(name, place)


def _image() -> Image:
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def _save_segformer(folder: Path) -> None:
    """Save a SegFormer B0."""
    network = hf.SegformerForSemanticSegmentation(hf.SegformerConfig(id2label=_NAMES))
    network.save_pretrained(folder)
    hf.SegformerImageProcessor(size={"height": 512, "width": 512}).save_pretrained(folder)


def _save_mask2former(folder: Path) -> None:
    """Save a Mask2Former on a small Swin."""
    stages = [f"stage{number}" for number in range(1, 5)]
    swin: dict[str, Any] = {"model_type": "swin", "out_features": stages}
    swin |= {"depths": [2, 2, 2, 2], "embed_dim": 48, "num_heads": [3, 6, 12, 24]}
    config = hf.Mask2FormerConfig(backbone_config=swin, decoder_layers=4, id2label=_NAMES)
    hf.Mask2FormerForUniversalSegmentation(config).save_pretrained(folder)
    size = {"height": 384, "width": 384}
    hf.Mask2FormerImageProcessor(size=size).save_pretrained(folder)


CHECKPOINTS: Mapping[str, Callable[[Path], object]] = {
    "segformer-b0": _save_segformer,
    "mask2former": _save_mask2former,
    "sam3 (small), 5 labels": lambda folder: tiny_sam3.save(folder, SAM3_SIDE),
}
"""Checkpoints by name: what writes each to a folder."""


def _ours(folder: Path) -> Answer:
    model: SegmentationModel = load_folder(folder, "random", "cpu")
    if not isinstance(model, TextPromptedModel):
        return lambda image: model.segment([image])
    turn = iter(range(1 << 30))

    def answer(image: Image) -> object:
        # Another picture each time, because features of recent ones are cached.
        seen = image.copy()
        seen[0, 0] = next(turn) % 251
        return model.for_phrases({each: (each,) for each in PHRASES}).segment([seen])

    return answer


def _library(folder: Path) -> Answer:
    if is_sam3(folder):
        return _sam3_of_the_library(folder)
    processor = hf.AutoImageProcessor.from_pretrained(folder)
    semantic = hasattr(processor, "post_process_semantic_segmentation") and not hasattr(
        processor, "post_process_panoptic_segmentation"
    )
    kind = "Semantic" if semantic else "Universal"
    network = getattr(hf, f"AutoModelFor{kind}Segmentation").from_pretrained(folder).eval()
    task = "semantic" if semantic else "panoptic"
    post_process = getattr(processor, f"post_process_{task}_segmentation")

    @torch.inference_mode()
    def answer(image: Image) -> object:
        inputs = processor(images=image, return_tensors="pt")
        return post_process(network(**inputs), target_sizes=[image.shape[:2]])

    return answer


def _sam3_of_the_library(folder: Path) -> Answer:
    """Encode image and texts once each, as the library's documentation does."""
    network = hf.Sam3Model.from_pretrained(folder).eval()
    processor = hf.Sam3Processor.from_pretrained(folder)
    texts = [processor(text=phrase, return_tensors="pt") for phrase in PHRASES]

    @torch.inference_mode()
    def answer(image: Image) -> object:
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        vision = network.get_vision_features(pixel_values=pixels)
        sizes = [image.shape[:2]]
        return [
            processor.post_process_instance_segmentation(
                network(vision_embeds=vision, **text), target_sizes=sizes
            )
            for text in texts
        ]

    return answer


def _memory(name: str, folder: Path) -> Figure:
    ours, library = (_taken(whose, folder) for whose in ("ours", "library"))
    return Figure(
        f"{name}: memory",
        "MB",
        Spread.of([ours / MB]),
        "transformers",
        Spread.of([library / MB]),
        Spread.of([ours / library]),
    )


def _taken(whose: str, folder: Path) -> int:
    command = [sys.executable, "-m", "benchmarks.checkpoints", whose, str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    find = {"ours": _ours, "library": _library}[sys.argv[1]]
    find(Path(sys.argv[2]))(_image())
    sys.stdout.write(f"{taken([os.getpid()])}\n")
