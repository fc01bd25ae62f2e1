"""Data sets read by programs whose requirements contradict ours, in environments of their own."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import DetrImageProcessor
from typer.testing import CliRunner

from ml_backend.labelstudio.coco_rle import Mask, Rle
from segstudio.cli.main import app
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, brush, polygon, rectangle_mask
from tests.support.label_studio_server import TOKEN, LabelStudioServer, annotation, task
from tests.support.pictures import data_uri

UV = Path(sys.executable).with_name("uv")
ANNA, BEN = "anna@example.org", "ben@example.org"
HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)
RING = DRESS & ~HAT
CORNERS = ((10, 5), (40, 5), (40, 25), (10, 25))

DATUMARO = """
import json, sys
from datumaro.components.dataset import Dataset

data = Dataset.import_from(sys.argv[1], "datumaro")
labels = [label.name for label in data.categories()[next(iter(data.categories()))].items]
print(json.dumps([
    {
        "id": item.id,
        "subset": item.subset,
        "size": list(item.media.size),
        "pixels": None if item.media.data is None else list(item.media.data.shape),
        "annotator": item.attributes["annotator"],
        "shapes": [[each.type.name, labels[each.label]] for each in item.annotations],
        "masks": [
            each.image.astype(int).tolist() for each in item.annotations if each.type.name == "mask"
        ],
        "points": [list(each.points) for each in item.annotations if each.type.name == "polygon"],
    }
    for item in data
]))
"""

ULTRALYTICS = """
import json, sys
from pathlib import Path
from ultralytics.data.utils import check_det_dataset, img2label_paths
from ultralytics.data.utils import polygon2mask, verify_image_label

data = check_det_dataset(sys.argv[1], autodownload=False)
found = []
for part in ("train", "val"):
    images = sorted(str(path) for path in Path(data[part]).rglob("*.jpg"))
    for image, labels in zip(images, img2label_paths(images)):
        _, boxes, shape, segments, _, missing, _, _, corrupt, message = verify_image_label(
            (image, labels, "", False, len(data["names"]), 0, 0, False)
        )
        found.append({
            "image": str(Path(image).relative_to(Path(sys.argv[1]).parent)),
            "names": [data["names"][int(row[0])] for row in boxes],
            "trouble": [missing, corrupt, message],
            "shape": list(shape),
            "masks": [
                polygon2mask(shape, [(each * shape[::-1]).ravel()]).tolist() for each in segments
            ],
        })
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the same two annotators' labels in both formats."""
    folder = tmp_path_factory.mktemp("out")
    with LabelStudioServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_URL", server.url)
        patch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
        patch.chdir(folder)
        first = annotation(1, brush("r1", "hat", HAT), brush("r2", "dress", RING))
        second = annotation(2, polygon("p", "dress", *CORNERS), by=2)
        labeled = task("looks/1.jpg", first, second, image=data_uri(HEIGHT, WIDTH))
        empty = task("looks/2.jpg", annotation(3), image=data_uri(HEIGHT, WIDTH, 2))
        project = server.add(CONFIG, [labeled, empty])
        for kind in ("datumaro", "yolo-seg", "panoptic"):
            words = ("--project", str(project), "--format", kind, "--out", kind, "--with-images")
            result = CliRunner().invoke(app, ["export", *words, "--split", "50/50"])
            assert result.exit_code == 0, result.output
        yield folder


def read(python: Path, script: str, path: Path) -> list[dict[str, Any]]:
    """Run a reader; what it prints last is what it read."""
    settings = {**os.environ, "YOLO_CONFIG_DIR": str(path), "YOLO_OFFLINE": "true"}
    result = subprocess.run(
        [python, "-c", script, path], capture_output=True, text=True, env=settings, check=False
    )
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout.splitlines()[-1])
    return found


def environment(folder: Path, *packages: str) -> Path:
    """Make an environment; returns its Python."""
    subprocess.run([UV, "--quiet", "venv", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([UV, "--quiet", "pip", "install", "--python", python, *packages], check=True)
    return python


def test_datumaro_reads_masks_polygons_and_images(out: Path, tmp_path: Path) -> None:
    """It wants older versions of pandas, pyarrow and Pillow than the rest of the tests."""
    python = environment(tmp_path / "environment", "datumaro==1.13.12")
    items = {item["id"]: item for item in read(python, DATUMARO, out / "datumaro")}
    assert items.keys() == {f"{ANNA}/looks/1", f"{BEN}/looks/1", f"{ANNA}/looks/2"}
    anna, ben, empty = items[f"{ANNA}/looks/1"], items[f"{BEN}/looks/1"], items[f"{ANNA}/looks/2"]
    assert anna["shapes"] == [["mask", "hat"], ["mask", "dress"]]
    assert (np.array(anna["masks"]) == [HAT, RING]).all()
    assert ben["shapes"] == [["polygon", "dress"]]
    assert np.array(ben["points"]).reshape(-1, 2) == pytest.approx(np.array(CORNERS))
    assert empty["shapes"] == []
    assert anna["subset"] == ben["subset"] != empty["subset"]
    assert (anna["annotator"], ben["annotator"]) == (ANNA, BEN)
    for item in items.values():
        assert item["size"] == [HEIGHT, WIDTH]
        assert item["pixels"] == [HEIGHT, WIDTH, 3]


def test_ultralytics_finds_nothing_wrong_and_fills_the_masks(out: Path, tmp_path: Path) -> None:
    """It wants OpenCV with windows; all but itself is taken from the environment of the tests."""
    packages = ("ultralytics==8.4.190", "polars==2.1.0", "psutil==7.2.2")
    python = environment(tmp_path / "environment", "--no-deps", *packages)
    (site,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    found = read(python, ULTRALYTICS, out / "yolo-seg" / "data.yaml")
    by_name = {Path(each["image"]).relative_to("images").as_posix(): each for each in found}
    assert {name.partition("/")[2] for name in by_name} == {
        *(f"{ANNA}/looks/1.jpg", f"{BEN}/looks/1.jpg", f"{ANNA}/looks/2.jpg")
    }
    for name, each in by_name.items():
        assert each["trouble"] == [0, 0, ""], name
        assert each["shape"] == [HEIGHT, WIDTH]
    anna = next(each for name, each in by_name.items() if name.endswith(f"{ANNA}/looks/1.jpg"))
    assert anna["names"] == ["hat", "dress"]
    for mask, whole in zip(anna["masks"], (HAT, RING), strict=True):
        assert iou(np.array(mask), whole) > 0.85, "OpenCV fills the pixels on a small outline too"


def iou(first: Mask, second: Mask) -> float:
    return Rle.of_mask(first.astype(bool)).iou(Rle.of_mask(second))


def test_transformers_takes_the_panoptic_segments(out: Path) -> None:
    processor = DetrImageProcessor(do_resize=False, do_pad=False, format="coco_panoptic")
    folder = out / "panoptic" / "annotations"
    seen: dict[str, dict[str, Mask]] = {}
    for path in folder.glob("panoptic_*.json"):
        whole = json.loads(path.read_text())
        names = {each["id"]: each["name"] for each in whole["categories"]}
        images = {each["id"]: each["file_name"] for each in whole["images"]}
        for each in whole["annotations"]:
            image = Image.open(
                out / "panoptic" / "images" / path.stem[9:] / images[each["image_id"]]
            )
            made = processor(
                images=image.convert("RGB"),
                annotations=each,
                masks_path=path.with_suffix(""),
                return_tensors="pt",
            )
            (labels,) = made["labels"]
            found = [names[number] for number in labels["class_labels"].tolist()]
            seen[images[each["image_id"]]] = dict(zip(found, labels["masks"].numpy(), strict=True))
    assert (seen[f"{ANNA}/looks/1.jpg"]["hat"] == HAT).all()
    assert (seen[f"{ANNA}/looks/1.jpg"]["dress"] == RING).all()
    assert (seen[f"{BEN}/looks/1.jpg"]["dress"] == DRESS).all()
    assert seen[f"{ANNA}/looks/2.jpg"] == {}
