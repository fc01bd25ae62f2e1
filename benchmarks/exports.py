"""``segstudio export`` compared with label-studio-sdk's converter, and ``segstudio report``."""

import json
import subprocess
import sys
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Figure, Spread, seconds
from ml_backend.labelstudio.brush_rle import encode_rle
from synthetic.people import draw_figure
from tests.support.label_studio_server import TOKEN, LabelStudioServer, Task, annotation, task

HEIGHT, WIDTH = 1500, 1000
COUNT, FEW = 10_000, 1000
"""Number of annotations of the main run, and of the one that its memory is compared with."""

SDK_COUNT = 300
"""Number of annotations that the SDK converts; its time for each does not depend on it."""

TASKS, FEW_TASKS = 100_000, 10_000
"""Number of tasks of the main report, and of the one that its memory is compared with."""

REPORT_SECONDS = 60
GOAL = 3
MOST_MB = 32
"""Maximum growth of memory in MB with ten times as many annotations."""

CONFIG = """<View><Image name="image" value="$image"/><BrushLabels name="mask" toName="image">
<Label value="garment"/></BrushLabels></View>"""

_SDK = """
import sys
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.converter import Format

converter = Converter(sys.argv[1], ".", download_resources=False)
converter.convert(sys.argv[2], sys.argv[3], Format.BRUSH_TO_COCO, is_dir=False)
"""


def measure(folder: Path) -> Iterator[Figure]:
    """Measure exports, then reports, each in its own process."""
    yield from _measure_export(folder)
    yield from _measure_report(folder)


def _measure_export(folder: Path) -> Iterator[Figure]:
    regions = _regions()
    words = ("export", "--format", "coco", "--out", str(folder / "ours.json"))
    with LabelStudioServer() as server:
        few = _run(server, _tasks(regions, FEW), words)
        ours = _run(server, _tasks(regions, COUNT), words)
    other = _convert(_tasks(regions, SDK_COUNT), folder)
    name = f"COCO of {COUNT:,} brush masks {WIDTH} x {HEIGHT}"
    each, theirs = 1000 * ours[0] / COUNT, 1000 * other / SDK_COUNT
    yield Figure(
        f"{name}, each",
        "ms",
        Spread.of([each]),
        f"label-studio-sdk's converter, of {SDK_COUNT}",
        Spread.of([theirs]),
        Spread.of([each / theirs]),
        f"≥ {GOAL} times as fast: {theirs / each:.1f}",
        theirs / each >= GOAL,
    )
    yield _memory(f"{name}, memory", ours[1], f"of {FEW:,}", few[1])


def _measure_report(folder: Path) -> Iterator[Figure]:
    chosen = {"id": "c", "from_name": "code", "to_name": "image", "type": "choices"}
    result = [chosen | {"value": {"choices": ["yes"]}}]
    words = ("report", "--out", str(folder / "report.html"))
    with LabelStudioServer() as server:
        few = _run(server, _tasks(result, FEW_TASKS), words)
        ours = _run(server, _tasks(result, TASKS), words)
    name, met = f"report of {TASKS:,} tasks", ours[0] <= REPORT_SECONDS
    goal = f"≤ {REPORT_SECONDS} s"
    yield Figure(name, "s", Spread.of([ours[0]]), goal=goal, met=met)
    yield _memory(f"{name}, memory", ours[1], f"of {FEW_TASKS:,}", few[1])


def _memory(name: str, ours: float, baseline: str, few: float) -> Figure:
    more = ours - few
    goal = f"≤ +{MOST_MB} MB: {more:+.0f}"
    spread = Spread.of([ours])
    return Figure(name, "MB", spread, baseline, Spread.of([few]), None, goal, more <= MOST_MB)


def _regions() -> list[dict[str, Any]]:
    """Return garments of drawn people as brush regions."""
    masks = [mask for seed in range(4) for mask in draw_figure(seed, HEIGHT, WIDTH).masks.values()]
    return [
        {
            "id": f"r{number}",
            "from_name": "mask",
            "to_name": "image",
            "type": "brushlabels",
            "original_width": WIDTH,
            "original_height": HEIGHT,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": encode_rle(np.asarray(mask)),
                "brushlabels": ["garment"],
            },
        }
        for number, mask in enumerate(masks)
    ]


def _tasks(regions: list[dict[str, Any]], count: int) -> list[Task]:
    return [
        task(f"{number}.jpg", annotation(number + 1, regions[number % len(regions)]))
        for number in range(count)
    ]


def _run(
    server: LabelStudioServer, tasks: list[Task], words: tuple[str, ...]
) -> tuple[float, float]:
    """Run a command; return its seconds and peak resident megabytes."""
    project = ("--project", str(server.add(CONFIG, tasks)))
    variables = {**environ, "LABEL_STUDIO_URL": server.url, "LABEL_STUDIO_API_KEY": TOKEN}
    measured = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "segstudio", *words]
    measured += project
    result = subprocess.run(measured, env=variables, capture_output=True, text=True, check=True)
    took, kilobytes = json.loads(result.stdout.splitlines()[-1])
    return float(took), float(kilobytes) / 1024


_MEASURED = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([time.perf_counter() - begun, used]))
"""


def _convert(tasks: list[Task], folder: Path) -> float:
    path = folder / "tasks.json"
    exported = [{"id": number, **each} for number, each in enumerate(tasks, 1)]
    path.write_text(json.dumps(exported))
    command = [sys.executable, "-c", _SDK, CONFIG, str(path), str(folder / "theirs")]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))
