"""Formats that people train with, read back by what people read them with."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from datasets import load_dataset  # type: ignore[import-untyped]
from PIL import Image
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from torchvision.datasets import VOCDetection, VOCSegmentation  # type: ignore[import-untyped]

from ml_backend.images import EncodedImage, ImageSource
from ml_backend.labelstudio.coco_rle import Mask
from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, brush, choice, polygon, rectangle_mask
from tests.support.http_server import Reply, Request
from tests.support.label_studio_server import LabelStudioServer, annotation, refusal, task
from tests.support.pictures import data_uri, encode, picture

ANNA, BEN = "anna@example.org", "ben@example.org"
HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)
RING = DRESS & ~HAT
CORNERS = ((10, 5), (40, 5), (40, 25), (10, 25))
FORMATS = ("yolo", "yolo-seg", "voc", "hf", "datumaro", "panoptic")


@pytest.fixture
def labeled(label_studio: LabelStudioServer) -> str:
    """Two images: Anna drew on the first, Ben too; Anna says that nothing is on the second."""
    images = [data_uri(HEIGHT, WIDTH, seed) for seed in (1, 2)]
    first = annotation(
        1, brush("r1", "hat", HAT), brush("r2", "dress", RING), choice("Sentiment", "Positive")
    )
    anna = [task("looks/1.jpg", first), task("looks/2.jpg", annotation(2))]
    ben = [
        task("looks/1.jpg", annotation(3, polygon("p", "dress", *CORNERS), by=2)),
        task("looks/2.jpg", annotation(4, skipped=True, by=2)),
    ]
    for tasks in (anna, ben):
        for each, image in zip(tasks, images, strict=True):
            each["data"]["image"] = image
    return ",".join(str(label_studio.add(CONFIG, tasks)) for tasks in (anna, ben))


def export(run: Run, projects: str, kind: str, *more: object) -> dict[str, Any]:
    words = ["--project", projects, "--format", kind, "--out", "out", "--json", *more]
    result = run("export", *words)
    assert result.exit_code == 0, result.output
    outcome: dict[str, Any] = records(result)[-1]
    return outcome


def samples() -> list[dict[str, str]]:
    with Path("out/samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def names() -> set[str]:
    found = {path.relative_to("out").as_posix() for path in Path("out").rglob("*")}
    return {name for name in found if Path("out", name).is_file()}


def read_yolo(name: str) -> list[tuple[int, np.ndarray[Any, np.dtype[np.float32]]]]:
    """As ``verify_image_label`` of ultralytics reads and checks a file of labels."""
    lines = [line.split() for line in Path("out/labels", f"{name}.txt").read_text().splitlines()]
    found = [(int(line[0]), np.array(line[1:], dtype=np.float32)) for line in lines]
    classes = yaml.safe_load(Path("out/data.yaml").read_text())["names"]
    for number, values in found:
        assert number in classes
        assert values.min() >= 0
        assert values.max() <= 1
        assert len(values) == 4 or (len(values) >= 6 and len(values) % 2 == 0)
    return found


def fill_yolo(values: Sequence[float]) -> Mask:
    """As ``polygon2mask`` of ultralytics fills a polygon, at eight times the size."""
    canvas = np.zeros((HEIGHT * 8, WIDTH * 8), np.uint8)
    corners = np.array(values).reshape(-1, 2) * (WIDTH * 8, HEIGHT * 8)
    cv2.fillPoly(canvas, [corners.astype(np.int32)], (1,))
    return canvas[4::8, 4::8].astype(bool)


def test_yolo_polygons_fill_to_the_masks_with_their_holes(run: Run, labeled: str) -> None:
    outcome = export(run, labeled, "yolo-seg", "--with-images")
    assert (outcome["images"], outcome["images_failed"]) == (2, 0)
    data = yaml.safe_load(Path("out/data.yaml").read_text())
    assert data["names"] == {0: "dress", 1: "hat", 2: "bag", 3: "shoe"}
    assert data["train"] == data["val"] == "images/train"
    for name, masks in {
        f"{ANNA}/looks/1": {1: HAT, 0: RING},
        f"{BEN}/looks/1": {0: DRESS},
        f"{ANNA}/looks/2": {},
    }.items():
        drawn = dict(read_yolo(f"train/{name}"))
        assert drawn.keys() == masks.keys()
        for label, mask in masks.items():
            assert (fill_yolo(drawn[label].tolist()) == mask).all(), name
        assert Image.open(f"out/images/train/{name}.jpg").size == (WIDTH, HEIGHT)
    assert len(samples()) == 3, "a skipped task is no sample"


def test_yolo_boxes_are_centres_and_sizes(run: Run, labeled: str) -> None:
    export(run, labeled, "yolo")
    (hat, dress) = read_yolo(f"train/{ANNA}/looks/1")
    assert hat[0] == 1
    assert hat[1].tolist() == pytest.approx([22.5 / 60, 12.5 / 40, 5 / 60, 5 / 40])
    assert dress[1].tolist() == pytest.approx([25 / 60, 15 / 40, 30 / 60, 20 / 40])


def test_no_folder_is_called_as_those_that_ultralytics_exchanges(
    run: Run, label_studio: LabelStudioServer
) -> None:
    drawn = annotation(1, brush("r", "hat", HAT))
    export(run, str(label_studio.add(CONFIG, [task("images/1.jpg", drawn)])), "yolo")
    assert f"labels/train/{ANNA}/images_/1.txt" in names()


def test_torchvision_reads_voc(run: Run, labeled: str) -> None:
    export(run, labeled, "voc", "--with-images")
    Path("VOCdevkit").mkdir()
    Path("VOCdevkit/VOC2012").symlink_to(Path("out").absolute())
    pictures = VOCSegmentation(".", image_set="train")
    by_name = dict(zip((row["sample"] for row in samples()), pictures, strict=True))
    image, mask = by_name[f"{ANNA}/looks/1"]
    assert image.size == (WIDTH, HEIGHT)
    assert (np.asarray(mask) == np.where(HAT, 2, np.where(DRESS, 1, 0))).all()
    assert not np.asarray(by_name[f"{ANNA}/looks/2"][1]).any()
    objects = [
        target["annotation"].get("object") for _, target in VOCDetection(".", image_set="train")
    ]
    assert objects[0][0]["name"] == "hat"
    assert objects[0][0]["bndbox"] == {"xmin": "21", "ymin": "11", "xmax": "25", "ymax": "15"}
    numbered = np.asarray(Image.open(f"out/SegmentationObject/{ANNA}/looks/1.png"))
    assert (numbered == np.where(HAT, 1, np.where(DRESS, 2, 0))).all()


def test_datasets_reads_hf(run: Run, labeled: str) -> None:
    export(run, labeled, "hf", "--with-images")
    found = load_dataset("out", cache_dir="cache")["train"]
    by_name = {(row["identifier"], row["annotator"]): row for row in found}
    assert by_name.keys() == {("looks/1.jpg", ANNA), ("looks/1.jpg", BEN), ("looks/2.jpg", ANNA)}
    row = by_name["looks/1.jpg", ANNA]
    assert row["image"].size == (WIDTH, HEIGHT)
    assert (np.asarray(row["mask"]) == np.where(HAT, 2, np.where(DRESS, 1, 0))).all()
    label = found.features["objects"].feature["label"]
    assert [label.int2str(each["label"]) for each in row["objects"]] == ["hat", "dress"]
    assert row["objects"][0]["bbox"] == [20, 10, 5, 5]
    assert (row["Sentiment"], row["skipped"]) == ("Positive", False)


def test_an_image_that_was_not_fetched_is_null_in_hf(run: Run, labeled: str) -> None:
    export(run, labeled, "hf")
    found = load_dataset("out", cache_dir="cache")["train"]
    assert set(found["image"]) == {None}


def test_panoptic_segments_are_what_each_pixel_tells(run: Run, labeled: str) -> None:
    export(run, labeled, "panoptic")
    whole = json.loads(Path("out/annotations/panoptic_train.json").read_text())
    images = {(i["file_name"], i["annotator"]): i["id"] for i in whole["images"]}
    segments = {each["image_id"]: each for each in whole["annotations"]}
    found = segments[images[f"{ANNA}/looks/1.jpg", ANNA]]
    categories = {each["id"]: each["name"] for each in whole["categories"]}
    pixels = np.asarray(Image.open(Path("out/annotations/panoptic_train", found["file_name"])))
    numbers = pixels.astype(int) @ (1, 256, 65536)
    masks = {categories[s["category_id"]]: numbers == s["id"] for s in found["segments_info"]}
    assert (masks["hat"] == HAT).all()
    assert (masks["dress"] == RING).all()
    assert [s["area"] for s in found["segments_info"]] == [HAT.sum(), RING.sum()]
    assert segments[images[f"{ANNA}/looks/2.jpg", ANNA]]["segments_info"] == []


def test_coco_polygons_have_holes_and_pycocotools_fills_them(run: Run, labeled: str) -> None:
    export(run, labeled, "coco", "--polygons", "--with-images")
    coco = COCO("out")
    assert all(isinstance(each["segmentation"], list) for each in coco.dataset["annotations"])
    by_region = {each["region"]: coco.annToMask(each) for each in coco.dataset["annotations"]}
    assert (by_region["r2"] == RING).all()
    for image in coco.dataset["images"]:
        assert Image.open(Path("out.images", image["file_name"])).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_data_set_twice_is_the_same(run: Run, labeled: str, kind: str) -> None:
    export(run, labeled, kind)
    first = {name: Path("out", name).read_bytes() for name in names()}
    export(run, labeled, kind)
    assert {name: Path("out", name).read_bytes() for name in names()} == first
    assert [path.name for path in Path().iterdir()] == ["out"], "nothing is left behind"


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_project_is_an_empty_data_set(
    run: Run, label_studio: LabelStudioServer, kind: str
) -> None:
    export(run, str(label_studio.add(CONFIG, [])), kind, "--split", "80/20")
    assert samples() == []


@pytest.fixture
def many(label_studio: LabelStudioServer) -> str:
    """Two copies of 50 tasks."""
    projects = []
    for by in (1, 2):
        tasks = [
            task(f"{n}.jpg", annotation(100 * by + n, brush("r", "hat", HAT), by=by))
            for n in range(50)
        ]
        projects.append(str(label_studio.add(CONFIG, tasks)))
    return ",".join(projects)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_split_has_exact_shares_and_keeps_an_images_annotators_together(
    run: Run, many: str, kind: str
) -> None:
    export(run, many, kind, "--split", "80/10/10", "--seed", 7)
    parts = {(row["identifier"], row["part"]) for row in samples()}
    assert len(samples()) == 100
    assert Counter(part for _, part in parts) == {"train": 40, "val": 5, "test": 5}
    if kind == "yolo":
        drawn = Counter(name.split("/")[1] for name in names() if name.startswith("labels/"))
        assert drawn == {"train": 80, "val": 10, "test": 10}
    if kind == "hf":
        sizes = {name: len(part) for name, part in load_dataset("out", cache_dir="cache").items()}
        assert sizes == {"train": 80, "validation": 10, "test": 10}


def test_another_seed_is_another_split(run: Run, many: str) -> None:
    found = []
    for seed in (7, 7, 8):
        export(run, many, "yolo", "--split", "50/50", "--seed", seed)
        found.append({row["identifier"] for row in samples() if row["part"] == "val"})
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "words",
    [
        ("csv", "--split", "80/20"),
        ("yolo", "--polygons"),
    ],
)
def test_an_option_that_does_not_go_with_a_format_is_wrong_usage(
    run: Run, labeled: str, words: tuple[str, ...]
) -> None:
    result = run("export", "--project", labeled, "--out", "out", "--format", *words)
    assert result.exit_code == 2


@pytest.mark.parametrize("split", ["x", "80/10/5/5", "0/0", "-1/2"])
def test_a_split_that_is_none_is_refused(run: Run, labeled: str, split: str) -> None:
    words = ("--project", labeled, "--out", "out", "--format", "yolo", f"--split={split}")
    result = run("export", *words)
    assert result.exit_code == 1
    assert "write it as 80/10/10" in result.output


def test_images_that_were_fetched_before_an_interruption_are_not_fetched_again(
    run: Run, label_studio: LabelStudioServer, labeled: str
) -> None:
    words = ("--project", labeled, "--format", "yolo", "--out", "out", "--with-images")

    def refuse_results(request: Request) -> Reply | None:
        wanted = request.query.get("include", "").split(",")
        return refusal(500) if request.route == "/api/tasks" and "result" in wanted else None

    label_studio.fault = refuse_results
    assert run("export", *words).exit_code == 1
    (kept,) = Path().iterdir()
    fetched = sorted(kept.iterdir())
    assert len(fetched) == 2
    for path in fetched:
        path.write_bytes(encode(picture(WIDTH, HEIGHT, seed=99)))
    label_studio.fault = lambda _request: None
    export(run, labeled, "yolo", "--with-images")
    for image in Path("out/images").rglob("*1.jpg"):
        assert image.read_bytes() == encode(picture(WIDTH, HEIGHT, seed=99))
    assert [path.name for path in Path().iterdir()] == ["out"]


def test_an_image_that_cannot_be_fetched_is_named_and_the_others_are_put_in(
    run: Run, label_studio: LabelStudioServer
) -> None:
    tasks = [task(f"{n}.jpg", annotation(n, brush("r", "hat", HAT))) for n in (1, 2)]
    tasks[0]["data"]["image"] = data_uri(HEIGHT, WIDTH)
    tasks[1]["data"]["image"] = "ftp://nowhere/2.jpg"
    project = str(label_studio.add(CONFIG, tasks))
    words = ("--project", project, "--format", "csv", "--out", "out.csv", "--with-images", "--json")
    result = run("export", *words)
    assert result.exit_code == 3
    problem, outcome = records(result)
    assert (problem["identifier"], outcome["images"], outcome["images_failed"]) == ("2.jpg", 1, 1)
    assert Path("out.images/1.jpg").is_file()
    assert not Path("out.images/2.jpg").exists()


def test_an_image_that_many_tasks_show_is_fetched_once_and_put_in_for_each(
    run: Run, label_studio: LabelStudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Counter[str]()
    opens = ImageSource.open

    def counted(source: ImageSource, reference: str, *more: Any, **options: Any) -> EncodedImage:
        opened[reference] += 1
        return opens(source, reference, *more, **options)

    monkeypatch.setattr(ImageSource, "open", counted)
    image = data_uri(HEIGHT, WIDTH)
    drawn = [annotation(n, brush("r", "hat", HAT)) for n in range(1, 41)]
    tasks = [task(f"{n}.jpg", each, image=image) for n, each in enumerate(drawn)]
    project = str(label_studio.add(CONFIG, tasks))
    outcome = export(run, project, "masks", "--with-images")
    assert (outcome["images"], outcome["images_failed"]) == (40, 0)
    assert len({*Path("out/images").rglob("*.jpg")}) == 40
    assert opened == {image: 1}
