"""Batch calls to the segmentation backend, compared with the model alone."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.measure import Figure, Pairs, Spread, in_turns
from benchmarks.studio import PATIENCE, jpeg, open_studio, opened
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from tests.support.processes import running_backend

HEIGHT, WIDTH = 1500, 1000
TASKS = 12
GOAL = 0.9


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure calls with new photographs of 1000 x 1500; the model gets them decoded."""
    files = [jpeg(seed, HEIGHT, WIDTH) for seed in range(4)]
    images = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    model = EmbeddedGarmentModel.load()
    with (
        open_studio() as studio,
        running_backend(
            "segmentation_backend", folder, LABEL_STUDIO_URL=studio.url, IMAGE_CACHE_MB="64"
        ) as backend,
        httpx.Client(base_url=backend.url, timeout=PATIENCE) as client,
    ):

        def ours(_turn: int) -> None:
            references = [studio.upload(files[n % len(files)]) for n in range(TASKS)]
            answer = client.post("/predict", json=opened(*references)).raise_for_status().json()
            if not all(answer["results"]):
                raise AssertionError("a task without an answer")

        def bare(_turn: int) -> None:
            for n in range(TASKS):
                model.segment([images[n % len(images)]])

        yield _throughput(in_turns(ours, bare, turns))


def _throughput(pairs: Pairs) -> Figure:
    """Return the figure in images per second."""
    ours, other = (Spread.of([TASKS / s for s in each]) for each in (pairs.ours, pairs.other))
    ratio = Spread.of(np.divide(pairs.other, pairs.ours).tolist())
    return Figure(
        f"batch of {TASKS}",
        "images/s",
        ours,
        "the model alone",
        other,
        ratio,
        f"≥ {GOAL} of it: {ratio.median:.2f}",
        ratio.median >= GOAL,
    )
