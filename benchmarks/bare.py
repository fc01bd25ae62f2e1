"""``python -m benchmarks.bare sam_backend``: print the memory of a process with the model alone."""

import os
import sys

import numpy as np
import torch

from benchmarks.processes import taken
from sam_backend.models.base import Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel

HEIGHT, WIDTH = 825, 550


def _answer(package: str) -> None:
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    if package == "segmentation_backend":
        EmbeddedGarmentModel.load().segment([image])
    else:
        model = EmbeddedPromptableModel.load()
        model.segment(model.embed(image), Prompts(points=(Point(100, 100),)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    _answer(sys.argv[1])
    sys.stdout.write(f"{taken([os.getpid()])}\n")
