"""Nine labelers on 200 images for minutes, then a burst: times, errors, memory."""

import csv
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.labelers import WAYS, Labelers, Notes, Picture, make_pictures
from benchmarks.measure import Figure, Spread
from benchmarks.processes import MB, taken_by
from benchmarks.studio import PATIENCE, Json, Studio, clicked, open_studio
from tests.support.processes import Backend, running_backend

PEOPLE = 9
PICTURES = 200
BURST = 200
PAUSE = (1.0, 3.0)
"""Minimum and maximum seconds that a person waits before the next action."""

CACHE_MB = 8
"""Memory for embeddings: a fifth of what they need, so that they are evicted."""

FLAT = 1.1
"""Maximum ratio of the memory at the end to that after a third of the time."""

_BETWEEN_SAMPLES = 2.0


@dataclass(frozen=True)
class Stand:
    """Both backends, connected as for a team: the first forwards opened tasks to the second."""

    studio: Studio
    segmentation: Backend
    sam: Backend


@dataclass(frozen=True)
class Sample:
    """Memory of both backends in MB, and its time in seconds since the start."""

    seconds: float
    segmentation: float
    sam: float

    @property
    def together(self) -> float:
        """Memory of both backends in MB."""
        return self.segmentation + self.sam


@dataclass(frozen=True)
class Burst:
    """Outcome of simultaneous requests.

    Attributes:
        served: Number of requests answered with a mask.
        refused: Number of requests refused with ``Retry-After``.
        other: Descriptions of all other responses.
        seconds: Time of the last response in seconds.
    """

    served: int
    refused: int
    other: tuple[str, ...]
    seconds: float


def measure(folder: Path, minutes: float, results: Path) -> Iterator[Figure]:
    """Measure labelers at work, then a burst; writes the memory to ``results / "soak.csv"``.

    Args:
        folder: Folder for the backends' files.
        minutes: Minutes that the labelers work.
        results: Folder for the CSV file.
    """
    with stand(folder, CACHE_MB) as both:
        pictures = make_pictures(both.studio, folder / "alone", PICTURES)
        with watched(both) as samples:
            labelers = Labelers(pictures, both.segmentation.url, both.sam.url, PAUSE)
            notes = labelers.work(PEOPLE, minutes * 60)
        yield from _times(notes)
        yield _errors(notes, minutes)
        yield _burst(burst(both.sam, pictures))
        _write(results / "soak.csv", samples)
        yield _memory(samples)


@contextmanager
def stand(folder: Path, cache_mb: int) -> Iterator[Stand]:
    """Start both backends and wait until they are ready; stops them afterwards.

    Args:
        folder: Folder for the backends' files.
        cache_mb: Memory of the sam backend for embeddings, in MiB.
    """
    places = [folder / "sam", folder / "segmentation"]
    for place in places:
        place.mkdir()
    with ExitStack() as stack:
        studio = stack.enter_context(open_studio())
        sam = stack.enter_context(
            running_backend(
                "sam_backend",
                places[0],
                LABEL_STUDIO_URL=studio.url,
                EMBEDDING_CACHE_MB=str(cache_mb),
            )
        )
        segmentation = stack.enter_context(
            running_backend(
                "segmentation_backend",
                places[1],
                LABEL_STUDIO_URL=studio.url,
                SAM_PREWARM_URL=sam.url,
            )
        )
        yield Stand(studio, segmentation, sam)


@contextmanager
def watched(both: Stand) -> Iterator[list[Sample]]:
    """Record the memory of both backends every few seconds while the body runs."""
    samples: list[Sample] = []
    end = threading.Event()
    started = time.monotonic()

    def look() -> None:
        while not end.wait(_BETWEEN_SAMPLES):
            since = time.monotonic() - started
            samples.append(Sample(since, taken_by(both.segmentation) / MB, taken_by(both.sam) / MB))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        end.set()
        thread.join()


def burst(backend: Backend, pictures: Sequence[Picture]) -> Burst:
    """Click 200 times simultaneously."""
    bodies = [clicked(pictures[n % len(pictures)].reference, WAYS[0][:1]) for n in range(BURST)]
    gate = threading.Barrier(BURST)
    limits = httpx.Limits(max_connections=BURST)
    started = time.monotonic()
    with (
        httpx.Client(base_url=backend.url, timeout=PATIENCE, limits=limits) as client,
        ThreadPoolExecutor(BURST) as pool,
    ):

        def ask(body: Json) -> httpx.Response:
            gate.wait()
            return client.post("/predict", json=body)

        answers = list(pool.map(ask, bodies))
    served = sum(answer.status_code == 200 for answer in answers)
    refused = sum(_is_told_when(answer) for answer in answers)
    other = tuple(
        f"{answer.status_code} {answer.text:.200}"
        for answer in answers
        if answer.status_code != 200 and not _is_told_when(answer)
    )
    return Burst(served, refused, other, time.monotonic() - started)


def growth(samples: Sequence[Sample]) -> float:
    """Return the ratio of memory in the last tenth to that after a third, with full caches."""
    third, tenth = len(samples) // 3, max(len(samples) // 10, 1)
    before = np.median([sample.together for sample in samples[third : third + tenth]])
    return float(np.median([sample.together for sample in samples[-tenth:]]) / before)


def _is_told_when(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.headers.get("Retry-After", "").isdigit()


def _times(notes: Notes) -> Iterator[Figure]:
    for deed, seconds in notes.seconds.items():
        milliseconds = [each * 1000 for each in seconds]
        spread = Spread.of(milliseconds)
        worst = float(np.percentile(milliseconds, 95))
        yield Figure(
            f"{PEOPLE} labelers: {deed}", "ms", spread, goal=f"95th percentile: {worst:.0f}"
        )


def _errors(notes: Notes, minutes: float) -> Figure:
    what = f"{notes.tasks // 2} tasks in {minutes:g} min"
    for reason in notes.wrong[:5]:
        what += f"; {reason:.200}"
    return Figure(
        f"{PEOPLE} labelers: errors, wrong images",
        "",
        Spread.of([len(notes.wrong)]),
        goal=f"none in {what}",
        met=not notes.wrong,
    )


def _burst(found: Burst) -> Figure:
    goal = f"a mask or 503 with Retry-After: {found.served} + {found.refused}"
    return Figure(
        f"burst of {BURST} clicks: last answer",
        "ms",
        Spread.of([found.seconds * 1000]),
        goal="; ".join([goal, *found.other[:3]]),
        met=not found.other and found.served > 0 and found.refused > 0,
    )


def _memory(samples: Sequence[Sample]) -> Figure:
    grown = growth(samples)
    return Figure(
        "memory of both at the end",
        "MB",
        Spread.of([samples[-1].together]),
        "after a third of the time",
        Spread.of([samples[len(samples) // 3].together]),
        Spread.of([grown]),
        f"flat: ≤ {FLAT} x",
        grown <= FLAT,
    )


def _write(path: Path, samples: Sequence[Sample]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["seconds", "segmentation_mb", "sam_mb"])
        for sample in samples:
            row = (sample.seconds, sample.segmentation, sample.sam)
            writer.writerow([f"{value:.1f}" for value in row])
