"""From a table and a folder of images to the labels of two annotators, by commands and the API."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pyarrow import parquet  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from ml_backend.labelstudio.brush_rle import decode_rle, encode_rle
from ml_backend.labelstudio.client import LabelStudio, NewProject, NewTask
from segstudio.projects.templates import read_template_with_codes
from tests.support.command_line import Run, records
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(900)

WIDTH, HEIGHT, ROWS = 80, 120, 8
BEN = "ben@localhost"

Mask = npt.NDArray[np.bool_]


def rectangle(left: int, top: int, width: int, height: int) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


DRESS, LOWER, HAT, BELT = (
    rectangle(20, 30, 40, 60),
    rectangle(20, 40, 40, 60),
    rectangle(30, 5, 20, 20),
    rectangle(20, 60, 40, 8),
)


@dataclass(frozen=True)
class Labeled:
    """Two copies of a project that two people have worked on.

    Attributes:
        projects: Their numbers.
        manifest: What the images' upload wrote.
        anna: Address of the one user that ``make up`` has.
    """

    projects: tuple[int, int]
    manifest: Path
    anna: str

    @property
    def option(self) -> str:
        return ",".join(map(str, self.projects))


@pytest.fixture
def api(studio: Studio) -> Iterator[LabelStudio]:
    with studio.api() as api:
        yield api


@pytest.fixture
def labeled(run: Run, api: LabelStudio, tmp_path: Path, request: pytest.FixtureRequest) -> Labeled:
    manifest = upload(run, tmp_path)
    title = request.node.name[:40]
    codes = ("--choices", "Sentiment=Positive,Negative", "--multiple", "Objects=Flag,Person")
    words = ("--template", "runway_fashion_classic", "--title", title, "--tasks", manifest, *codes)
    created = run("project", "create", *words, "--meta", "Name", "--copies", 2, "--json")
    assert created.exit_code == 0, created.output
    first, second = (project["id"] for project in records(created)[-1]["projects"])
    annotate(api, first, user(api, api.user()), anna)
    annotate(api, second, user(api, BEN), ben)
    return Labeled((first, second), manifest, api.user())


def upload(run: Run, folder: Path) -> Path:
    (folder / "images").mkdir()
    rows = [["ID", "Name", "Caption", "path"]]
    for number in range(ROWS):
        picture = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        rows.append([str(number), f"Look {number}", f"É, {number}\nspring", f"images/{number}.png"])
    with (folder / "posts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    options = ("--bucket", "gs://photos", "--path-column", "path", "--name", "anna/{ID}.png")
    uploaded = run("images", "upload", "posts.csv", *options)
    assert uploaded.exit_code == 0, uploaded.output
    return folder / "posts.manifest.csv"


def user(api: LabelStudio, email: str) -> int:
    """The number of a user, who is made where there is none."""
    known = {each["email"]: each["id"] for each in api.call("GET", "/api/users")}
    if email not in known:
        body = {"email": email, "username": email}
        known[email] = api.call("POST", "/api/users/", json=body)["id"]
    return int(known[email])


def anna(number: int) -> list[dict[str, Any]] | None:
    """What the first annotator says of an image; None: nothing yet."""
    if number == 7:
        return None
    drawn = [brush("hat", HAT), brush("dress", DRESS), brush("bag-belt", BELT), point("hat")]
    chosen = [choices("Sentiment", "Positive"), choices("Objects", "Flag", "Person")]
    return [*drawn, *chosen]


def ben(number: int) -> list[dict[str, Any]] | None:
    """The second agrees on half of the images, and finds the dress lower on the others."""
    if number == 6:
        return []
    dress, said = (DRESS, "Positive") if number % 2 else (LOWER, "Negative")
    return [brush("hat", HAT), brush("dress", dress), choices("Sentiment", said)]


def annotate(api: LabelStudio, project: int, by: int, say: Any) -> None:
    """Number 5 is skipped by both; number 4 is annotated twice."""
    for task in tasks(api, project):
        number = int(task["meta"]["identifier"][len("anna/") : -len(".png")])
        result = say(number)
        if result is not None:
            body = {
                "result": result,
                "completed_by": by,
                "was_cancelled": number == 5,
                "lead_time": 1.5,
            }
            for _ in range(2 if number == 4 else 1):
                api.call("POST", f"/api/tasks/{task['id']}/annotations/", json=body)


def tasks(api: LabelStudio, project: int) -> list[dict[str, Any]]:
    params = {"project": project, "include": "id,meta"}
    return list(api.pages("/api/tasks", "tasks", params))


def brush(label: str, mask: Mask) -> dict[str, Any]:
    value = {"format": "rle", "rle": encode_rle(mask), "brushlabels": [label]}
    return region(label, "mask", "brushlabels", value)


def point(label: str) -> dict[str, Any]:
    value = {"x": 50, "y": 10, "width": 0.5, "keypointlabels": [label]}
    return region("point", "point", "keypointlabels", value)


def region(id_: str, control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id_,
        "from_name": control,
        "to_name": "image",
        "type": kind,
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
    }


def choices(control: str, *values: str) -> dict[str, Any]:
    return {
        "id": control,
        "from_name": control,
        "to_name": "image",
        "type": "choices",
        "value": {"choices": list(values)},
    }


def counted(api: LabelStudio, labeled: Labeled) -> dict[str, int]:
    """Label Studio's own counts over both copies."""
    found = [api.call("GET", f"/api/projects/{project}") for project in labeled.projects]
    names = {
        "tasks": "task_number",
        "annotations": "total_annotations_number",
        "skipped": "skipped_annotations_number",
    }
    return {name: sum(each[theirs] for each in found) for name, theirs in names.items()}


def export(run: Run, labeled: Labeled, kind: str, out: str) -> dict[str, Any]:
    words = ("--project", labeled.option, "--format", kind, "--out", out)
    result = run("export", *words, "--manifest", labeled.manifest, "--json")
    assert result.exit_code == 0, result.output
    outcome: dict[str, Any] = records(result)[-1]
    return outcome


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_annotators_labels_become_tables_masks_coco_and_their_agreement(
    run: Run, api: LabelStudio, labeled: Labeled
) -> None:
    told = export(run, labeled, "csv", "labels.csv")
    counts = counted(api, labeled)
    assert counts == {"tasks": 16, "annotations": 15, "skipped": 2}
    assert {name: told[name] for name in counts} == counts
    check_table(labeled, read_csv(Path("labels.csv")))
    check_other_tables(run, labeled)
    check_masks(labeled, export(run, labeled, "masks", "masks"))
    check_coco(labeled, export(run, labeled, "coco", "labels.json"))
    check_agreement(run, labeled)
    check_data_set(run, labeled)
    check_consensus(run, api, labeled)
    for project in labeled.projects:
        assert api.call("GET", f"/api/projects/{project}")["total_predictions_number"] == 0, (
            "reading annotations asks no backend"
        )


def check_table(labeled: Labeled, rows: list[dict[str, str]]) -> None:
    said = {(row["identifier"], row["annotator"]) for row in rows}
    assert len(rows) == 17
    assert len(said) == 15, "two said something twice"
    assert {annotator for _, annotator in said} == {labeled.anna, BEN}
    first = rows[0]
    assert first["identifier"] == "anna/0.png"
    assert (first["Sentiment"], json.loads(first["Objects"])) == ("Positive", ["Flag", "Person"])
    assert json.loads(first["mask"]) == ["hat", "dress", "bag-belt"]
    assert (first["Name"], first["Caption"]) == ("Look 0", "É, 0\nspring")
    assert first["image"] == "gs://photos/anna/0.png"
    assert {row["identifier"] for row in rows if row["skipped"] == "true"} == {"anna/5.png"}


def check_other_tables(run: Run, labeled: Labeled) -> None:
    export(run, labeled, "jsonl", "labels.jsonl")
    lines = [json.loads(line) for line in Path("labels.jsonl").read_text().splitlines()]
    assert len(lines) == 17
    assert lines[0]["result"] == anna(0)
    export(run, labeled, "parquet", "labels.parquet")
    assert parquet.read_table("labels.parquet").num_rows == 17


def check_masks(labeled: Labeled, told: dict[str, Any]) -> None:
    # Anna: 7 images with three each, one of them twice, one skipped; Ben: 6 with two and one twice.
    assert told["regions"] == 3 * 7 + 2 * 7
    assert told["left_out"] == 7, "Anna's points"
    index = {row["label"]: int(row["index"]) for row in read_csv(Path("masks/labels.csv"))}
    mask = np.asarray(Image.open(f"masks/{labeled.anna}/anna/0.png"))
    expected = np.zeros((HEIGHT, WIDTH), int)
    for label, pixels in (("dress", DRESS), ("hat", HAT), ("bag-belt", BELT)):
        expected[pixels] = index[label]
    assert (mask == expected).all()
    rows = [row for row in read_csv(Path("masks/masks.csv")) if row["mask_path"]]
    files = {path.relative_to("masks").as_posix() for path in Path("masks").rglob("*.png")}
    assert files == {row["mask_path"] for row in rows}
    assert len(files) == 15, "Ben says that nothing is on number 6: a mask without a label"


def check_coco(labeled: Labeled, told: dict[str, Any]) -> None:
    coco = COCO("labels.json")
    assert len(coco.dataset["images"]) == ROWS
    assert len(coco.dataset["annotations"]) == told["regions"] == 35
    images = {image["file_name"]: image for image in coco.dataset["images"]}
    assert sorted(images["anna/5.png"]["skipped_by"]) == sorted([labeled.anna, BEN])
    names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    found = coco.loadAnns(coco.getAnnIds(imgIds=[images["anna/1.png"]["id"]]))
    masks = {"dress": DRESS, "hat": HAT, "bag-belt": BELT}
    assert len(found) == 5
    for each in found:
        assert (coco.annToMask(each) == masks[names[each["category_id"]]]).all()


def check_agreement(run: Run, labeled: Labeled) -> None:
    result = run("agreement", "--project", labeled.option, "--out", "agreement", "--json")
    assert result.exit_code == 0, result.output
    told = records(result)[-1]
    assert told["images"] == 6, "all but the skipped one and the one that Anna has not seen"
    labels = {each["label"]: each for each in told["masks"]}
    apart = (DRESS & LOWER).sum() / (DRESS | LOWER).sum()
    # Images 0, 2, 4: apart; 1, 3: together; 6: Ben says there is nothing.
    assert labels["dress"]["iou"] == pytest.approx((3 * apart + 2) / 6)
    assert labels["hat"]["iou"] == pytest.approx(5 / 6)
    assert labels["bag-belt"]["one_sided"] == 6
    assert told["most_disagreement"][0]["identifier"] == "anna/6.png"
    sentiment = next(each for each in told["choices"] if each["control"] == "Sentiment")
    assert (sentiment["images"], sentiment["kappa"]) == (5, 0), "Anna always says the same"
    assert Path("agreement/agreement.png").stat().st_size > 5000


def check_data_set(run: Run, labeled: Labeled) -> None:
    """Images come from the bucket; both samples of an image are in one part."""
    words = ("--project", labeled.option, "--format", "yolo-seg", "--out", "yolo", "--json")
    result = run("export", *words, "--with-images", "--split", "50/50")
    assert result.exit_code == 0, result.output
    told = records(result)[-1]
    assert (told["images"], told["images_failed"]) == (ROWS, 0)
    samples = read_csv(Path("yolo/samples.csv"))
    parts = {(row["identifier"], row["part"]) for row in samples}
    assert len(samples) == 15
    assert len(parts) == len({identifier for identifier, _ in parts}) == 7
    for row in samples:
        image = Image.open(f"yolo/images/{row['part']}/{row['sample']}.png")
        assert image.size == (WIDTH, HEIGHT)


def check_consensus(run: Run, api: LabelStudio, labeled: Labeled) -> None:
    """From two annotators to a review project, and again after an annotation has changed."""
    words = ("--project", labeled.option, "--title", f"Review of {labeled.projects[0]}", "--json")
    told = merged(run, *words)
    assert (told["created"], told["updated"], told["unchanged"]) == (6, 0, 0)
    review = told["project"]
    by_identifier = {task["meta"]["identifier"]: task["id"] for task in tasks(api, review)}
    params = {"task": by_identifier["anna/0.png"]}
    (prediction,) = api.call("GET", "/api/predictions", params=params)
    masks = {
        entry["value"]["brushlabels"][0]: decode_rle(entry["value"]["rle"], HEIGHT, WIDTH)
        for entry in prediction["result"]
        if entry["type"] == "brushlabels"
    }
    assert masks.keys() == {"hat", "dress"}, "of two annotators, both must mark it"
    assert (masks["dress"] == (DRESS & LOWER)).all()
    project = api.call("GET", f"/api/projects/{review}")
    assert (project["sampling"], project["model_version"]) == (
        "Uncertainty sampling",
        "consensus-majority",
    )
    first = api.call("GET", f"/api/projects/{review}/next")
    assert first["meta"]["identifier"] == "anna/6.png", "the one that they disagree on most"
    assert merged(run, *words)["unchanged"] == 6

    changed = next(t for t in tasks(api, labeled.projects[1]) if "/1." in t["meta"]["identifier"])
    (said,) = api.call("GET", f"/api/tasks/{changed['id']}/annotations/")
    body = {"result": [brush("hat", HAT), brush("dress", LOWER)]}
    api.call("PATCH", f"/api/annotations/{said['id']}/", json=body)
    told = merged(run, *words)
    assert (told["created"], told["updated"], told["unchanged"]) == (0, 1, 5)
    assert merged(run, *words)["unchanged"] == 6


def merged(run: Run, *words: object) -> dict[str, Any]:
    result = run("consensus", *words)
    assert result.exit_code == 0, result.output
    outcome: dict[str, Any] = records(result)[-1]
    return outcome


def test_a_report_tells_what_became_of_the_suggestions(run: Run, api: LabelStudio) -> None:
    config = read_template_with_codes("runway_fashion_classic")
    project = api.create_project(NewProject("Suggested", config))
    dress, hat, belt = brush("dress", DRESS), brush("hat", HAT), brush("hat", BELT)
    suggested = {"model_version": "model-1", "result": [dress, hat]}
    api.create_tasks(
        project, [NewTask({"image": "gs://photos/none.png"}, {}, [suggested]) for _ in range(3)]
    )
    for task in tasks(api, project):
        (prediction,) = api.call("GET", "/api/predictions", params={"task": task["id"]})
        body = {
            "result": [dress, belt],
            "lead_time": 12.5,
            "parent_prediction": prediction["id"],
        }
        api.call("POST", f"/api/tasks/{task['id']}/annotations/", json=body)
    words = ("--project", project, "--out", "report.html", "--csv", "numbers.csv")
    result = run("report", *words)
    assert result.exit_code == 0, result.output
    rows = read_csv(Path("numbers.csv"))
    found = {(row["about"], row["name"], row["measure"]): row["value"] for row in rows}
    assert found["all", "", "suggested"] == "6"
    assert (found["all", "", "kept"], found["all", "", "corrected"]) == ("3", "3")
    assert float(found["model_version", "model-1", "iou"]) == pytest.approx(0.5)
    assert float(found["annotator", api.user(), "median_seconds"]) == 12.5
    assert "50 % were kept as they were" in Path("report.html").read_text()


def test_an_annotation_that_is_changed_is_exported_as_it_is_now(
    run: Run, api: LabelStudio, labeled: Labeled
) -> None:
    export(run, labeled, "csv", "labels.csv")
    row = next(row for row in read_csv(Path("labels.csv")) if row["Sentiment"] == "Positive")
    changed = {"result": [choices("Sentiment", "Negative")]}
    api.call("PATCH", f"/api/annotations/{row['annotation']}/", json=changed)
    export(run, labeled, "csv", "labels.csv")
    after = {row["annotation"]: row for row in read_csv(Path("labels.csv"))}
    assert after[row["annotation"]]["Sentiment"] == "Negative"
    assert len(after) == 17


def test_a_project_that_is_not_there_and_a_wrong_token_are_one_clear_line(
    run: Run, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--format", "csv", "--out", "labels.csv")
    missing = run("export", "--project", 123456, *words)
    assert missing.exit_code == 1
    assert "there is no project 123456" in missing.output
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    refused = run("export", "--project", studio.project, *words)
    assert refused.exit_code == 1
    assert "rejected the token" in refused.output
    assert not Path("labels.csv").exists()
