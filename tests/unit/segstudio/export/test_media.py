"""Projects of video and sound: their answers as tables, and how far annotators agree."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from segstudio.projects.templates import read_template_with_codes, shows_images, task_fields
from tests.support.command_line import Run, records
from tests.support.gcs_server import GcsServer
from tests.support.label_studio_server import LabelStudioServer, Task, annotation

VIDEO = read_template_with_codes("video_coding", multiple=["Objects=Flag,Person"])
AUDIO = read_template_with_codes("audio_coding")

EDGES = {"x": 10, "y": 20, "width": 30, "height": 40}
BOX = {
    "id": "b",
    "from_name": "box",
    "to_name": "video",
    "type": "videorectangle",
    "value": {
        "framesCount": 20,
        "duration": 2,
        "sequence": [
            {"frame": 1, "enabled": True, "time": 0.1, **EDGES},
            {"frame": 9, "enabled": False, "time": 0.9, **EDGES},
        ],
        "labels": ["Person"],
    },
}
SPEECH = {
    "id": "s",
    "from_name": "part",
    "to_name": "audio",
    "type": "labels",
    "original_length": 4.0,
    "value": {"start": 0.5, "end": 1.75, "channel": 0, "labels": ["Speech"]},
}


def said(target: str, control: str, *choices: str) -> dict[str, Any]:
    return {
        "id": control,
        "from_name": control,
        "to_name": target,
        "type": "choices",
        "value": {"choices": list(choices)},
    }


def clip(name: str, key: str, *annotations: dict[str, Any]) -> Task:
    return {
        "data": {key: f"gs://clips/{name}"},
        "meta": {"identifier": name},
        "annotations": list(annotations),
    }


def export(run: Run, project: int, kind: str) -> Path:
    out = f"out.{kind}"
    result = run("export", "--project", project, "--format", kind, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    return Path(out)


@pytest.fixture
def video(label_studio: LabelStudioServer) -> int:
    result = (BOX, said("video", "Sentiment", "Positive"), said("video", "Objects", "Flag"))
    return label_studio.add(VIDEO, [clip("1.mp4", "video", annotation(1, *result))])


@pytest.fixture
def audio(label_studio: LabelStudioServer) -> int:
    noise = {"start": 2, "end": 3, "channel": 0, "labels": ["Noise"]}
    result = (SPEECH, {**SPEECH, "id": "t", "value": noise})
    return label_studio.add(AUDIO, [clip("1.wav", "audio", annotation(1, *result))])


def read_csv(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def test_boxes_with_frames_and_choices_of_a_video_are_a_row(run: Run, video: int) -> None:
    row = read_csv(export(run, video, "csv"))
    assert (row["identifier"], row["image"]) == ("1.mp4", "gs://clips/1.mp4")
    assert row["Sentiment"] == "Positive"
    assert json.loads(row["Objects"]) == ["Flag"]
    (box,) = json.loads(row["box"])
    assert box["labels"] == ["Person"]
    assert (box["framesCount"], box["duration"]) == (20, 2)
    assert [frame["frame"] for frame in box["frames"]] == [1, 9]
    assert box["frames"][0]["time"] == 0.1


def test_time_ranges_of_a_sound_are_in_the_row(run: Run, audio: int) -> None:
    row = read_csv(export(run, audio, "csv"))
    assert json.loads(row["part"]) == [
        {"labels": ["Speech"], "start": 0.5, "end": 1.75, "channel": 0},
        {"labels": ["Noise"], "start": 2, "end": 3, "channel": 0},
    ]


def test_json_lines_have_the_parts_as_objects_and_the_result_as_it_came(
    run: Run, audio: int
) -> None:
    line = json.loads(export(run, audio, "jsonl").read_text())
    assert line["part"][0]["end"] == 1.75
    assert line["result"][0] == SPEECH


def test_parquet_has_the_parts_as_json(run: Run, video: int) -> None:
    (row,) = parquet.read_table(export(run, video, "parquet")).to_pylist()
    assert json.loads(row["box"])[0]["labels"] == ["Person"]


def test_annotators_agree_on_choices_about_a_video(
    run: Run, label_studio: LabelStudioServer
) -> None:
    answers = [("Positive", "Negative", "Positive"), ("Positive", "Negative", "Negative")]
    projects = [
        label_studio.add(
            VIDEO,
            [
                clip(f"{n}.mp4", "video", annotation(n, said("video", "Sentiment", each), by=by))
                for n, each in enumerate(given, 1)
            ],
        )
        for by, given in enumerate(answers, 1)
    ]
    result = run("agreement", "--project", ",".join(map(str, projects)), "--json")
    assert result.exit_code == 0, result.output
    outcome = records(result)[-1]
    assert outcome["images"] == 3
    sentiment = next(each for each in outcome["choices"] if each["control"] == "Sentiment")
    assert sentiment["kappa"] == pytest.approx(0.4)
    assert outcome["most_disagreement"][0]["identifier"] == "3.mp4"


@pytest.mark.parametrize("key", ["video", "audio"])
def test_a_project_of_a_template_needs_no_backends(
    run: Run, label_studio: LabelStudioServer, key: str
) -> None:
    template = f"{key}_coding"
    Path("clips.csv").write_text("identifier,image\na,https://h/a.mp4\n")
    words = ("--template", template, "--title", "Clips", "--tasks", "clips.csv")
    result = run("project", "create", *words, "--choices", "Mood=Calm,Tense", "--json")
    assert result.exit_code == 0, result.output
    (project,) = label_studio.projects.values()
    (made,) = project.tasks.values()
    assert made["data"] == {"identifier": "a", key: "https://h/a.mp4"}
    assert f'name="Mood" toName="{key}"' in project.told["label_config"]
    assert label_studio.backends == {}


@pytest.mark.parametrize("kind", ["masks", "coco", "yolo"])
def test_a_format_for_images_is_refused(run: Run, video: int, kind: str) -> None:
    result = run("export", "--project", video, "--format", kind, "--out", "out")
    assert result.exit_code == 1
    assert "use csv, jsonl or parquet" in result.output
    assert not Path("out").exists()


def test_templates_tell_what_they_show() -> None:
    shown = [field.path for config in (VIDEO, AUDIO) for field in task_fields(config)]
    assert shown == ["video", "audio"]
    assert not shows_images(VIDEO)
    assert shows_images(read_template_with_codes("visual_coding"))


def test_all_media_are_uploaded_and_under_the_old_name_images_alone(
    run: Run, photos: GcsServer
) -> None:
    folder = Path("clips")
    folder.mkdir()
    for name in ("a.mp4", "b.webm", "c.mp3", "d.wav", "e.FLAC", "f.jpg", "g.txt"):
        (folder / name).write_bytes(name.encode())
    old = run("images", "upload", "clips", "--bucket", "photos", "--json")
    assert old.exit_code == 0, old.output
    assert records(old)[-1]["uploaded"] == 1
    new = run("media", "upload", "clips", "--bucket", "photos", "--json")
    assert new.exit_code == 0, new.output
    assert (records(new)[-1]["uploaded"], records(new)[-1]["present"]) == (5, 1)
    names = Path("clips.manifest.csv").read_text()
    assert "e.FLAC" in names
    assert "g.txt" not in names
