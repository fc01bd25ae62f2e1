"""Response time of clicks, compared with the model alone."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.measure import Figure, in_turns
from benchmarks.studio import PATIENCE, Studio, clicked, jpeg, open_studio, opened
from sam_backend.models.base import Mask, Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from tests.support.processes import running_backend

HEIGHT, WIDTH = 1500, 1000
MODEL = "the model alone"


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure warm, cold and prewarmed clicks on photographs of 1000 x 1500 through a backend.

    Args:
        folder: Folder for the backend's files.
        turns: Number of pairs of each kind.
    """
    with (
        open_studio() as studio,
        running_backend(
            "sam_backend", folder, LABEL_STUDIO_URL=studio.url, SAM_MODEL="embedded"
        ) as backend,
        httpx.Client(base_url=backend.url, timeout=PATIENCE) as client,
    ):
        clicks = Clicks(studio, client)
        yield clicks.warm(turns)
        yield clicks.cold(turns)
        yield clicks.prewarmed(turns)


class Clicks:
    """Clicks on one picture under one or many names, so that the model's work is always the same.

    Args:
        studio: Server of the picture.
        client: HTTP client for the backend.
    """

    def __init__(self, studio: Studio, client: httpx.Client) -> None:
        self._studio = studio
        self._client = client
        self._file = jpeg(0, HEIGHT, WIDTH)
        self._model = EmbeddedPromptableModel.load()
        self._known = studio.upload(self._file)

    def warm(self, turns: int) -> Figure:
        """Measure clicks on an image that was clicked before, each at another place."""
        embedding = self._model.embed(self._decoded()).to_float16()
        pairs = in_turns(
            self.click_warm,
            lambda turn: self._model.segment(embedding, _prompts(turn)),
            turns,
        )
        return pairs.at_most_15_ms_more("warm click", MODEL)

    def cold(self, turns: int) -> Figure:
        """Measure clicks on new images; the model alone starts with a file in memory."""
        pairs = in_turns(self.click_cold, self._from_the_file, turns)
        return pairs.times("cold click", f"{MODEL}, with decoding the file")

    def prewarmed(self, turns: int) -> Figure:
        """Measure clicks on prewarmed images, compared with a warm click at the same place."""
        fresh = [self._studio.upload(self._file) for _ in range(turns + 1)]
        self._click(self._known, turns + 1)
        self._prewarm(fresh)
        pairs = in_turns(
            lambda turn: self._click(fresh[turn], -1 - turn),
            lambda turn: self._click(self._known, -1 - turn),
            turns,
        )
        ratio = pairs.ratio.median
        return pairs.times(
            "first click after prewarm", "a warm click", f"equal: {ratio:.2f}", ratio <= 1.1
        )

    def click_warm(self, turn: int) -> None:
        """Click on an image that was clicked before, at another place in each turn."""
        self._click(self._known, turn)

    def click_cold(self, turn: int) -> None:
        """Click on a new image."""
        self._click(self._studio.upload(self._file), turn)

    def _click(self, reference: str, turn: int) -> None:
        body = clicked(reference, [(*_place(turn), True)])
        answer = self._client.post("/predict", json=body).raise_for_status().json()
        if "result" not in answer["results"][0]:
            raise AssertionError(f"no answer: {answer}")

    def _prewarm(self, references: list[str]) -> None:
        body = opened(*references) | {"wait": True}
        answer = self._client.post("/prewarm", json=body).raise_for_status().json()
        if any(entry != {"outcome": "made"} for entry in answer["results"]):
            raise AssertionError(f"not prewarmed: {answer}")

    def _from_the_file(self, turn: int) -> Mask:
        return self._model.segment(self._model.embed(self._decoded()), _prompts(turn))

    def _decoded(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.asarray(Image.open(io.BytesIO(self._file)).convert("RGB"))


def _place(turn: int) -> tuple[float, float]:
    """Return a place in percent; different in each turn, so that no mask is cached."""
    return 40 + (turn * 7) % 41 / 2, 20 + (turn * 11) % 101 / 2


def _prompts(turn: int) -> Prompts:
    x, y = _place(turn)
    return Prompts(points=(Point(x / 100 * WIDTH, y / 100 * HEIGHT),))
