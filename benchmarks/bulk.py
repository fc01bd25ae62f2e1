"""Bulk predictions on Ray Data, compared with a plain loop; and whether memory stays constant.

Ray starts once; a rate is measured from a model's first call, in whichever process, to the last
prediction, so the model is loaded on both sides. Images fetched and decoded during loading are not
counted; they are few, and only our side has them.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Figure, Spread
from benchmarks.studio import jpeg
from ml_backend.images import ImageSource
from ml_backend.labelstudio.label_config import parse_label_config
from segmentation_backend.models.base import Instance, SegmentationModel
from segmentation_backend.models.registry import load_model
from segmentation_backend.regions import RegionBuilder
from segmentation_backend.settings import SegmentationSettings
from segstudio.predict import cluster, stages
from segstudio.predict.items import Item
from segstudio.predict.pipeline import Pipeline
from segstudio.predict.sources import folder_items
from segstudio.projects.tasks import TaskField
from segstudio.projects.templates import read_template
from tests.support import ray_models as models
from tests.support import ray_pictures as pictures
from tests.support.waiting import descendants

HEIGHT, WIDTH = 825, 550
IMAGES = 96
SLEEPING = 2_000  # the second worker starts a second or two after the first
FEW, MANY = 1_000, 10_000
SLOWER, FASTER, GROWTH_MB = 0.9, 1.7, 300


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure rates with one and two workers, then memory, with one Ray."""
    photographs, small = folder / "photographs", folder / "small"
    photographs.mkdir()
    for seed in range(IMAGES):
        (photographs / f"{seed}.jpg").write_bytes(jpeg(seed % 8, HEIGHT, WIDTH))
    pictures.fill(small, FEW)
    with cluster.joined(""):
        yield _against_the_plain_loop(photographs, turns)
        yield _two_workers(small, turns)
        yield from _memory(small)


def _pipeline(folder: Path, config: str, load: stages.Load, workers: int) -> Pipeline:
    settings = stages.backend_settings(local_files_document_root=folder)
    pool = cluster.Pool(workers, 0, cluster.plan_pool(1).threads)
    return Pipeline(settings, config, pool, load)


def _run(pipeline: Pipeline, items: list[Item]) -> float:
    """Return seconds per image, from the first call of a model to the last prediction."""
    with tempfile.TemporaryDirectory(prefix="segstudio-bench-") as name:
        noting = replace(pipeline, load=partial(_noting, pipeline.load, Path(name)))
        _exhaust(noting, items)
        ended = time.monotonic()
        begun = min(float(note.read_text()) for note in Path(name).iterdir())
    return (ended - begun) / len(items)


def _noting(load: stages.Load, notes: Path, settings: SegmentationSettings) -> SegmentationModel:
    return _Noting(load(settings), notes / f"{os.getpid()}")


@dataclass
class _Noting:
    """Model that records the time of its first call, by the clock shared by all processes."""

    model: SegmentationModel
    note: Path
    version: str = field(init=False)
    classes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.version, self.classes = self.model.version, self.model.classes

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        if not self.note.exists():
            self.note.write_text(str(time.monotonic()))
        return self.model.segment(images)


def _against_the_plain_loop(folder: Path, turns: int) -> Figure:
    config = read_template("runway_fashion")
    pipeline = _pipeline(folder, config, stages.load_model, 1)
    items = list(folder_items(folder, TaskField("image")))
    model, source = load_model(pipeline.settings), ImageSource(pipeline.settings)
    garments = RegionBuilder("plain", model.classes, pipeline.settings)
    parsed = parse_label_config(config)

    def plain() -> float:
        begun = time.perf_counter()
        for item in items:
            pixels = source.load(item.reference).pixels
            garments.predict(model.segment([pixels])[0], parsed)
        return (time.perf_counter() - begun) / len(items)

    pairs = [(_run(pipeline, items), plain()) for _ in range(turns)]
    return _rates("bulk, one worker", "the plain loop", pairs, SLOWER)


def _two_workers(folder: Path, turns: int) -> Figure:
    items = _repeated(folder, SLEEPING)
    one, two = (_pipeline(folder, pictures.CONFIG, models.load_slow, n) for n in (1, 2))
    pairs = [(_run(two, items), _run(one, items)) for _ in range(turns)]
    return _rates("bulk, two workers that mostly wait", "one worker", pairs, FASTER)


def _rates(name: str, baseline: str, pairs: list[tuple[float, float]], least: float) -> Figure:
    ours, other = (np.array(each) for each in zip(*pairs, strict=True))
    ratio = Spread.of((other / ours).tolist())
    return Figure(
        name,
        "images/s",
        Spread.of((1 / ours).tolist()),
        baseline,
        Spread.of((1 / other).tolist()),
        ratio,
        f"≥ {least} of it: {ratio.median:.2f}",
        ratio.median >= least,
    )


def _memory(folder: Path) -> Iterator[Figure]:
    pipeline = _pipeline(folder, pictures.CONFIG, models.load, 1)
    peaks = []
    for count in (FEW, MANY):
        items = _repeated(folder, count)
        peaks.append(_peak(partial(_exhaust, pipeline, items)) / 1e6)
    grown = peaks[1] - peaks[0]
    yield Figure(
        f"bulk memory at {MANY} images, all processes",
        "MB",
        Spread.of([peaks[1]]),
        f"at {FEW} images",
        Spread.of([peaks[0]]),
        None,
        f"≤ {GROWTH_MB} MB more: {grown:.0f}",
        grown <= GROWTH_MB,
    )


def _repeated(folder: Path, count: int) -> list[Item]:
    """Return ``count`` images by repeating the few that exist."""
    once = list(folder_items(folder, TaskField("image")))
    return [replace(once[n % len(once)], key=f"{n}") for n in range(count)]


def _exhaust(pipeline: Pipeline, items: list[Item]) -> None:
    for _ in pipeline.predict(items, pipeline.model()):
        pass


def _peak(work: Callable[[], None]) -> float:
    """Return the peak of private bytes of this process and its children during ``work``."""
    done, seen = threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.5):
            pids = [os.getpid(), *descendants(os.getpid())]
            seen.append(sum(map(_own_bytes, pids)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen)


def _own_bytes(pid: int) -> int:
    """Return resident minus shared bytes; 0 for a process that has just exited."""
    try:
        _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
