import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from segstudio.export.references import file_name, name_reference, unsigned
from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, brush, choice, point, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, annotation, task
from tests.support.pictures import data_uri

HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)

S3 = "https://b.s3.eu-west-1.amazonaws.com/a/1.jpg"
SIGNED = {
    f"{S3}?X-Amz-Algorithm=AWS4&X-Amz-Credential=me&X-Amz-Signature=5ec8e7&versionId=7": (
        f"{S3}?versionId=7"
    ),
    f"{S3}?AWSAccessKeyId=AK&Signature=5ec8e7%3D&Expires=1": S3,
    "https://storage.googleapis.com/b/1.jpg?X-Goog-Signature=5ec8e7&X-Goog-Date=1": (
        "https://storage.googleapis.com/b/1.jpg"
    ),
    "https://a.blob.core.windows.net/c/1.jpg?sv=1&se=2&sr=b&sp=r&sig=5ec8e7#top": (
        "https://a.blob.core.windows.net/c/1.jpg#top"
    ),
    "https://d.cloudfront.net/1.jpg?Policy=p&Signature=5ec8e7&Key-Pair-Id=K": (
        "https://d.cloudfront.net/1.jpg"
    ),
    "https://me:5ec8e7@images.example/1.jpg": "https://images.example/1.jpg",
    "https://images.example/1.jpg?token=5ec8e7": "https://images.example/1.jpg",
}


@pytest.mark.parametrize("reference", SIGNED)
def test_a_signed_address_loses_its_signature_alone(reference: str) -> None:
    assert unsigned(reference) == SIGNED[reference]


@pytest.mark.parametrize(
    "reference",
    [
        "gs://b/a?b.jpg",
        "/data/local-files/?d=a/b.jpg",
        "https://images.example/show?id=5&sr=2&policy=open",
        "what/ever@x",
        "",
    ],
)
def test_a_reference_without_a_signature_stays(reference: str) -> None:
    assert unsigned(reference) == reference


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("gs://looks/anna/1.jpg", "anna/1.jpg"),
        ("/data/upload/12/5f3a-look 1.PNG", "5f3a-look 1.PNG"),
        ("/data/local-files/?d=sub/a%20b.jpg", "sub/a b.jpg"),
        ("https://images.example/a/../b/1.webp?size=9", "a/b/1.webp"),
        ("https://images.example/show?id=5", "show.jpg"),
        ("https://images.example", "image.jpg"),
    ],
)
def test_a_file_is_named_by_the_last_parts_of_its_address(reference: str, name: str) -> None:
    assert file_name(name_reference(reference), reference) == name


def test_an_identifier_is_the_files_name_with_the_images_suffix_where_it_has_none() -> None:
    assert file_name("looks/7", "gs://b/x.png") == "looks/7.png"
    assert file_name("7.5", "data:image/webp;base64,AAAA", "back-2") == "7.5-back-2.webp"
    assert file_name("../../etc/x.jpg", "") == "etc/x.jpg"


def export(run: Run, project: int, kind: str, expected: int = 0) -> list[dict[str, object]]:
    words = ("--project", project, "--format", kind, "--out", f"out.{kind}", "--json")
    result = run("export", *words)
    assert result.exit_code == expected, result.output
    return records(result)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "coco", "masks"])
def test_no_signature_is_in_any_export(
    run: Run, label_studio: LabelStudioServer, kind: str
) -> None:
    tasks = []
    for number, reference in enumerate(SIGNED):
        made = task("x", annotation(number + 1, brush("r", "hat", HAT)))
        data = {"image": reference, "more": {"also": [reference]}}
        tasks.append({**made, "data": data, "meta": {}})
    export(run, label_studio.add(CONFIG, tasks), kind)
    out = Path(f"out.{kind}")
    for path in out.rglob("*.csv") if out.is_dir() else [out]:
        assert b"5ec8e7" not in path.read_bytes()


def test_no_signature_comes_from_the_manifest(run: Run, label_studio: LabelStudioServer) -> None:
    signed = f"{S3}?AWSAccessKeyId=AK&Signature=5ec8e7&Expires=1"
    made = {**task("x", annotation(1, brush("r", "hat", HAT))), "meta": {}}
    made["data"] = {"image": signed, "identifier": signed}
    Path("m.csv").write_text(f"identifier,image,address\n{signed},{signed},{signed}\n")
    project = label_studio.add(CONFIG, [made])
    for kind in ("csv", "coco"):
        words = ("--project", project, "--format", kind, "--out", f"out.{kind}")
        result = run("export", *words, "--manifest", "m.csv")
        assert result.exit_code == 0, result.output
        assert "5ec8e7" not in Path(f"out.{kind}").read_text()
        assert S3 in Path(f"out.{kind}").read_text()


def test_coco_tells_the_files_name_and_the_reference(
    run: Run, label_studio: LabelStudioServer
) -> None:
    references = (
        "/data/upload/1/x.jpg",
        "https://a.example/x.jpg",
        "https://b.example/x.jpg?sig=1",
        data_uri(HEIGHT, WIDTH),
    )
    tasks = [
        {**task("x", annotation(n, brush("r", "hat", HAT))), "data": {"image": each}, "meta": {}}
        for n, each in enumerate(references, start=1)
    ]
    export(run, label_studio.add(CONFIG, tasks), "coco")
    images = COCO("out.coco").dataset["images"]
    names = [image["file_name"] for image in images]
    assert names[:3] == ["x.jpg", "x.2.jpg", "x.3.jpg"], "different images, different files"
    assert names[3].startswith("data-")
    assert names[3].endswith(".png")
    assert [image["coco_url"] for image in images] == [
        *references[:2],
        "https://b.example/x.jpg",
        "",
    ]


def test_an_image_with_nothing_on_it_keeps_its_size(
    run: Run, label_studio: LabelStudioServer
) -> None:
    """By a point on it, by another annotator in another project, or by the image itself."""
    by_itself = {**task("3.jpg", annotation(3)), "data": {"image": data_uri(HEIGHT, WIDTH)}}
    first = label_studio.add(
        CONFIG,
        [
            task("1.jpg", annotation(1, point("p", "dress"))),
            task("2.jpg", annotation(2, choice("Sentiment", "Positive"))),
            by_itself,
        ],
    )
    second = label_studio.add(CONFIG, [task("2.jpg", annotation(4, brush("r", "hat", HAT), by=2))])
    words = ("--project", f"{first},{second}", "--format", "coco", "--out", "out.json")
    result = run("export", *words)
    assert result.exit_code == 0, result.output
    images = json.loads(Path("out.json").read_text())["images"]
    assert [(image["width"], image["height"]) for image in images] == [(WIDTH, HEIGHT)] * 3


def test_an_image_whose_size_is_unknown_is_named(run: Run, label_studio: LabelStudioServer) -> None:
    unknown = {**task("1.jpg", annotation(1)), "data": {"image": "ftp://nowhere/1.jpg"}}
    project = label_studio.add(CONFIG, [unknown])
    problem, outcome = export(run, project, "coco", expected=3)
    assert problem["failed"] == "it has no regions, and its size is unknown"
    assert (problem["identifier"], outcome["problems"]) == ("1.jpg", 1)
    (image,) = json.loads(Path("out.coco").read_text())["images"]
    assert (image["width"], image["annotated_by"]) == (None, ["anna@example.org"])
