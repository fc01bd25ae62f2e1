"""Memory of a backend by number of workers, compared with processes with the model alone."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.bare import HEIGHT, WIDTH
from benchmarks.measure import Figure, Spread
from benchmarks.processes import MB, taken_by
from benchmarks.studio import PATIENCE, Json, Studio, clicked, jpeg, open_studio, opened
from tests.support.asking import lines
from tests.support.processes import Backend, running_backend
from tests.support.waiting import eventually

WORKERS = (1, 2, 4)
EXTRA_MB = 150
CALLS = 4


def measure(folder: Path) -> Iterator[Figure]:
    """Measure both backends after each worker has answered some calls, with one thread each."""
    for package in ("segmentation_backend", "sam_backend"):
        model = _bare(package)
        for workers in WORKERS:
            place = folder / f"{package}-{workers}"
            place.mkdir()
            yield _figure(package, workers, model, _taken(package, place, workers))


def _bare(package: str) -> int:
    command = [sys.executable, "-m", "benchmarks.bare", package]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _taken(package: str, folder: Path, workers: int) -> int:
    variables = {"WORKERS": str(workers), "THREADS": "1"}
    with (
        open_studio() as studio,
        running_backend(package, folder, LABEL_STUDIO_URL=studio.url, **variables) as backend,
    ):
        eventually(lambda: _loaded(backend) == workers, 120)
        _let_answer(backend, studio, workers)
        return taken_by(backend)


def _loaded(backend: Backend) -> int:
    return sum(line["event"] == "model_loaded" for line in lines(backend))


def _let_answer(backend: Backend, studio: Studio, workers: int) -> None:
    """Send requests in parallel on separate connections, so that every worker gets some."""
    file = jpeg(0, HEIGHT, WIDTH)
    references = [studio.upload(file) for _ in range(CALLS * workers)]
    bodies = [
        clicked(each, [(50, 50, True)]) if "sam" in backend.log.name else opened(each)
        for each in references
    ]

    def ask(body: Json) -> None:
        httpx.post(f"{backend.url}/predict", json=body, timeout=PATIENCE).raise_for_status()

    with ThreadPoolExecutor(len(bodies)) as pool:
        list(pool.map(ask, bodies))


def _figure(package: str, workers: int, model: int, together: int) -> Figure:
    most = workers * (model / MB + EXTRA_MB)
    return Figure(
        f"{package.split('_')[0]}: {workers} worker{'s' * (workers > 1)}",
        "MB",
        Spread.of([together / MB]),
        f"{workers} x the model alone",
        Spread.of([workers * model / MB]),
        Spread.of([together / model / workers]),
        f"≤ {workers} x (model + {EXTRA_MB}): {most:.0f}",
        together / MB <= most,
    )
