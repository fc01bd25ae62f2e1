"""Simulated labelers on both backends, who verify that each got the masks of their image.

All pictures have one size and all labelers click in one of a few ways, so that an answer depends
only on picture and way. The models' answers to each picture are computed in advance; no two
pictures, and no two ways, have the same answer.
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, cycle, islice, product
from pathlib import Path
from typing import Any

import httpx

from benchmarks.studio import (
    LABEL_CONFIG,
    PATIENCE,
    Json,
    Point,
    Studio,
    clicked,
    context,
    jpeg,
    opened,
    submitted,
    task,
)
from ml_backend.deadline import Deadline
from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.prompts import parse_context
from ml_backend.labelstudio.schemas import Prediction
from sam_backend.app import load_predictor as load_sam
from sam_backend.settings import SamSettings
from segmentation_backend.app import load_predictor as load_segmentation
from segmentation_backend.settings import SegmentationSettings

HEIGHT, WIDTH = 300, 200

Clicks = tuple[Point, ...]

WAYS: tuple[Clicks, ...] = (
    ((50, 40, True), (50, 60, True), (4, 4, False)),
    ((50, 30, True), (50, 70, True), (96, 4, False)),
    ((50, 55, True), (50, 35, True), (4, 96, False)),
    ((46, 48, True), (54, 62, True), (96, 96, False)),
)
"""Each picture is labeled in all ways before one is repeated: otherwise, a backend that caches
answers would have nothing to do."""

_STEPS: tuple[Clicks, ...] = ((), *(way[: n + 1] for way in WAYS for n in range(len(way))))
SAME = 0.98
"""Minimum IoU with the expected answer: another number of threads rounds differently."""

Answer = tuple[tuple[str, bytes], ...]
"""Label and RLE of each region."""


@dataclass(frozen=True)
class Picture:
    """Image and the models' answers to it by the clicks so far; without clicks: on opening."""

    reference: str
    answers: Mapping[Clicks, Answer]


@dataclass
class Notes:
    """What labelers experienced: seconds by action, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def tasks(self) -> int:
        """Number of submitted tasks."""
        return len(self.seconds.get("submit", []))


def make_pictures(studio: Studio, folder: Path, number: int) -> list[Picture]:
    """Return uploaded drawn figures with distinct answers.

    Args:
        studio: Server for the pictures.
        folder: Folder for the models' caches.
        number: Number of pictures.
    """
    common: dict[str, Any] = {"label_studio_url": studio.url, "image_cache_dir": folder}
    segmentation = load_segmentation(SegmentationSettings(**common))
    sam = load_sam(SamSettings(**common))
    seen: set[Answer] = set()

    def usable() -> Any:
        for seed in count():
            reference = studio.upload(jpeg(seed, HEIGHT, WIDTH))
            answers = {
                clicks: _alone(sam if clicks else segmentation, reference, clicks)
                for clicks in _STEPS
            }
            different = set(answers.values())
            if all(different) and len(different) == len(answers) and not seen & different:
                seen.update(different)
                yield Picture(reference, answers)

    return list(islice(usable(), number))


def _alone(predictor: Predictor, reference: str, points: Sequence[Point]) -> Answer:
    prompts = parse_context(context(points)) if points else None
    (outcome,) = predictor.predict(
        [task(reference)], prompts, label_config=LABEL_CONFIG, deadline=Deadline.after(100)
    )
    return _answer(outcome.model_dump()) if isinstance(outcome, Prediction) else ()


def _answer(prediction: Json) -> Answer:
    values = [region["value"] for region in prediction["result"]]
    return tuple((value["labels"][0], bytes(value["rle"])) for value in values if "labels" in value)


class Labelers:
    """Simulated labelers who open a task, click three times and submit, repeatedly.

    Args:
        pictures: Pictures, taken in order: each way once, then again.
        segmentation_url: Address of the segmentation backend.
        sam_url: Address of the sam backend.
        pause: Minimum and maximum seconds between two actions.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        segmentation_url: str,
        sam_url: str,
        pause: tuple[float, float],
    ) -> None:
        self._pictures = pictures
        work = list(product(pictures, WAYS))
        random.Random(0).shuffle(work)
        self._work: Iterator[tuple[Picture, Clicks]] = cycle(work)
        self._segmentation = f"{segmentation_url}/predict"
        self._sam = f"{sam_url}/predict"
        self._webhooks = [f"{segmentation_url}/webhook", f"{sam_url}/webhook"]
        self._pause = pause
        self._end = threading.Event()

    def work(self, people: int, seconds: float) -> Notes:
        """Run labelers in parallel; errors are in the notes."""
        notes = Notes()
        timer = threading.Timer(seconds, self._end.set)
        timer.start()
        with (
            httpx.Client(timeout=PATIENCE) as client,
            ThreadPoolExecutor(people) as pool,
        ):
            list(pool.map(lambda seed: self._person(client, seed, notes), range(people)))
        timer.cancel()
        return notes

    def _person(self, client: httpx.Client, seed: int, notes: Notes) -> None:
        chance = random.Random(seed)
        while not self._end.is_set():
            try:
                self._one_task(client, chance, notes)
            except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
                notes.wrong.append(repr(error))

    def _one_task(self, client: httpx.Client, chance: random.Random, notes: Notes) -> None:
        picture, way = next(self._work)
        regions: list[Any] = []
        for number in range(len(way) + 1):
            prediction = self._step(client, picture.reference, way[:number], notes)
            regions += prediction["result"]
            self._check(picture, way[:number], _answer(prediction), notes)
            self._end.wait(chance.uniform(*self._pause))
        for url in self._webhooks:
            _timed(client, "submit", url, submitted(picture.reference, regions), notes)

    def _step(self, client: httpx.Client, reference: str, clicks: Clicks, notes: Notes) -> Json:
        """Return the prediction on opening, or on the last click."""
        if clicks:
            deed = "later click" if clicks[1:] else "first click"
            answer = _timed(client, deed, self._sam, clicked(reference, clicks), notes)
        else:
            answer = _timed(client, "open", self._segmentation, opened(reference), notes)
        prediction: Json = answer["results"][0]
        return prediction

    def _check(self, picture: Picture, clicks: Clicks, answer: Answer, notes: Notes) -> None:
        if answer == picture.answers[clicks]:
            return
        likeness = [_likeness(answer, other.answers[clicks]) for other in self._pictures]
        own = _likeness(answer, picture.answers[clicks])
        if own < SAME or own < max(likeness):
            notes.wrong.append(
                f"{picture.reference} after {clicks}: IoU {own:.3f} with what the model says of it,"
                f" {max(likeness):.3f} with what it says of another"
            )


def _timed(client: httpx.Client, deed: str, url: str, body: Json, notes: Notes) -> Json:
    started = time.perf_counter()
    answer: Json = client.post(url, json=body).raise_for_status().json()
    notes.seconds.setdefault(deed, []).append(time.perf_counter() - started)
    return answer


def _likeness(one: Answer, other: Answer) -> float:
    """Return the lowest IoU of the labels' masks; 0 if one has a label that the other has not."""
    first, second = dict(one), dict(other)
    if first.keys() != second.keys():
        return 0.0
    return min((_iou(first[label], second[label]) for label in first), default=1.0)


def _iou(one: bytes, other: bytes) -> float:
    first, second = (decode_rle(list(rle), HEIGHT, WIDTH) for rle in (one, other))
    return float((first & second).sum() / max((first | second).sum(), 1))
