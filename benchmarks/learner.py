"""Response time of clicks while a project is being learned, and while it is not."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx

from benchmarks.clicks import Clicks
from benchmarks.measure import Figure, Pairs, in_turns
from benchmarks.studio import PATIENCE, open_studio
from tests.support.asking import data_uri
from tests.support.label_studio_server import TOKEN, LabelStudioServer, Task, annotation, task
from tests.support.own_labels import CONFIG, brush_result, draw_labeled
from tests.support.processes import running_backend

IMAGES = 120
MOST = 1.3
"""Maximum time of a click during learning, as a multiple."""

_WITHOUT_END = 'while true; do "$0" -m segmentation_backend.learning run --project 3; done'


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure clicks while the learner runs, in turns with clicks while it is paused.

    Args:
        folder: Folder for the backend's files and the models.
        turns: Number of pairs of each kind.
    """
    with (
        open_studio() as studio,
        running_backend(
            "sam_backend", folder, LABEL_STUDIO_URL=studio.url, SAM_MODEL="embedded"
        ) as backend,
        httpx.Client(base_url=backend.url, timeout=PATIENCE) as client,
        _learning(folder) as learner,
    ):
        clicks = Clicks(studio, client)
        yield _row("warm click while it learns", learner, clicks.click_warm, turns)
        yield _row("cold click while it learns", learner, clicks.click_cold, turns)


def _row(name: str, learner: int, click: Callable[[int], None], turns: int) -> Figure:
    pairs = _in_turns(learner, click, turns)
    ratio = pairs.ratio.median
    return pairs.times(name, "the same, while it does not", f"≤ {MOST}: {ratio:.2f}", ratio <= MOST)


def _in_turns(learner: int, click: Callable[[int], None], turns: int) -> Pairs:
    """Time clicks with the learner's processes at work and halted."""

    def running(turn: int) -> None:
        click(2 * turn)
        os.killpg(learner, signal.SIGSTOP)

    def alone(turn: int) -> None:
        click(2 * turn + 1)
        os.killpg(learner, signal.SIGCONT)

    return in_turns(running, alone, turns)


@contextmanager
def _learning(folder: Path) -> Iterator[int]:
    """Learn repeatedly from drawn pictures; yields the process group of the learner."""
    with LabelStudioServer() as label_studio, (folder / "learner.log").open("wb") as log:
        label_studio.add(CONFIG, [_annotated(seed) for seed in range(IMAGES)])
        variables = {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODELS_DIR": str(folder / "models"),
            "IMAGE_CACHE_DIR": str(folder / "learner-images"),
        }
        with subprocess.Popen(
            ["/bin/bash", "-c", _WITHOUT_END, sys.executable],
            env={**os.environ, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process:
            try:
                yield process.pid
            finally:
                os.killpg(process.pid, signal.SIGKILL)


def _annotated(seed: int) -> Task:
    pixels, masks = draw_labeled(seed)
    found = task(f"{seed}.png", annotation(seed + 1, *brush_result(masks)))
    _, png = cv2.imencode(".png", pixels[..., ::-1])
    found["data"]["image"] = data_uri(png.tobytes(), "png")
    return found
