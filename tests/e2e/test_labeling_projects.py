"""A labeling project by commands alone: made, connected, its annotations brought into a bucket."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ml_backend.labelstudio.client import LabelStudio
from segmentation_backend.classes import NOT_LEARNED_YET
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.labelstudio.storages import storages
from synthetic.people import Figure
from tests.e2e.test_lifecycle import backend_urls
from tests.support.command_line import Run, records
from tests.support.gcs_server import GcsServer
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(900)

ROWS = 40


@pytest.fixture
def api(studio: Studio) -> Iterator[LabelStudio]:
    with studio.api() as api:
        yield api


@pytest.fixture
def table(tmp_path: Path, run: Run, figure: Figure) -> Path:
    """The manifest of forty posts, whose images are the same picture in a bucket."""
    Image.fromarray(figure.image).save(tmp_path / "look.jpg")
    with (tmp_path / "posts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ID", "Name", "Theme", "path"])
        rows.writerows([n, f"Look {n}", "Autumn", "look.jpg"] for n in range(ROWS))
    upload = ("images", "upload", "posts.csv", "--bucket", "gs://photos", "--path-column", "path")
    assert run(*upload, "--name", "{ID}.jpg").exit_code == 0
    return tmp_path / "posts.manifest.csv"


def order(table: Path, title: str, **options: object) -> list[object]:
    """The words of ``segstudio project create``."""
    given = {
        "template": "runway_fashion.xml",
        "title": title,
        "tasks": table,
        "meta": "Name,Theme",
        **options,
    }
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return ["project", "create", *words, "--json"]


def made(run: Run, words: list[object]) -> list[dict[str, Any]]:
    result = run(*words)
    assert result.exit_code == 0, result.output
    (outcome,) = records(result)
    projects: list[dict[str, Any]] = outcome["projects"]
    return projects


def tasks(api: LabelStudio, project: int) -> list[dict[str, Any]]:
    params = {"project": project, "include": "id,data,meta", "resolve_uri": "false"}
    return list(api.pages("/api/tasks", "tasks", params))


def annotate(api: LabelStudio, project: int, count: int) -> None:
    result = [
        {
            "from_name": "Sentiment",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": ["Neutral"]},
        }
    ]
    for task in tasks(api, project)[:count]:
        api.call("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": result})


def test_each_annotator_gets_a_project_with_the_same_sample_and_its_metadata(
    run: Run, api: LabelStudio, table: Path, studio: Studio
) -> None:
    codes = {"choices": "Mood=Good,Bad", "multiple": "Things=Flag,Dog"}
    words = order(table, "Three of them", sample="30%", seed=7, copies=3, **codes)
    copies = made(run, words)
    assert [copy["title"] for copy in copies] == [f"Three of them #{n}" for n in (1, 2, 3)]
    samples = [tasks(api, copy["id"]) for copy in copies]
    assert [len(sample) for sample in samples] == [12, 12, 12]
    assert [t["meta"] for t in samples[0]] == [t["meta"] for t in samples[1]]
    for task in samples[2]:
        identifier = task["meta"]["identifier"]
        number = identifier.removesuffix(".jpg")
        assert task["data"] == {
            "identifier": identifier,
            "Name": f"Look {number}",
            "Theme": "Autumn",
            "image": f"gs://photos/{identifier}",
        }
    for copy in copies:
        project = api.call("GET", f"/api/projects/{copy['id']}")
        assert project["sampling"] == "Uniform sampling"
        assert 'name="Mood"' in project["label_config"]
        assert 'choice="multiple"' in project["label_config"]
        connected = [each.url for each in api.connections(copy["id"]).values()]
        assert connected == backend_urls(studio)
        (source,) = api.call("GET", "/api/storages/gcs", params={"project": copy["id"]})
        assert (source["bucket"], source["synchronizable"]) == ("photos", False)


def test_made_again_nothing_comes_twice_and_other_options_are_refused(
    run: Run, api: LabelStudio, table: Path, studio: Studio
) -> None:
    words = order(table, "Once", sample="30%", seed=7)
    (first,) = made(run, words)
    (second,) = made(run, words)
    assert (second["id"], second["created"], second["added"]) == (first["id"], False, 0)
    assert len(tasks(api, first["id"])) == second["present"] == 12
    assert len(webhook_urls_of(studio, first["id"])) == 2
    other = run(*order(table, "Once", sample="30%", seed=8))
    assert other.exit_code == 1
    assert "already" in records(other)[0]["error"]["message"]


def webhook_urls_of(studio: Studio, project: int) -> list[str]:
    return [each["url"] for each in studio.request("GET", "/api/webhooks", project=project)]


def test_rows_that_are_added_to_the_table_are_added_to_a_project_of_all_rows(
    run: Run, api: LabelStudio, table: Path
) -> None:
    (first,) = made(run, order(table, "All rows"))
    with table.open("a") as file:
        file.write("40,Look 40,Spring,look.jpg,40.jpg,gs://photos/1.jpg\r\n")
    (second,) = made(run, order(table, "All rows"))
    assert (second["id"], second["added"], second["present"]) == (first["id"], 1, ROWS)


def test_stopped_in_the_middle_it_goes_on(run: Run, api: LabelStudio, table: Path) -> None:
    (first,) = made(run, order(table, "Torn"))
    for task in tasks(api, first["id"])[::2]:
        api.call("DELETE", f"/api/tasks/{task['id']}")
    for id_ in api.connections(first["id"]):
        api.call("DELETE", f"/api/ml/{id_}")
    (second,) = made(run, order(table, "Torn"))
    assert (second["added"], second["present"]) == (ROWS // 2, ROWS // 2)
    assert len(api.connections(first["id"])) == 2
    assert {t["meta"]["identifier"] for t in tasks(api, first["id"])} == {
        f"{n}.jpg" for n in range(ROWS)
    }


def test_a_dry_run_makes_nothing(run: Run, api: LabelStudio, table: Path) -> None:
    result = run(*order(table, "Dry"), "--dry-run")
    (outcome,) = records(result)
    assert outcome["projects"][0]["id"] is None
    assert outcome["projects"][0]["added"] == ROWS
    assert list(api.projects("Dry")) == []


def test_opening_a_task_with_an_image_in_the_bucket_finds_the_garments(
    run: Run, api: LabelStudio, table: Path
) -> None:
    (project,) = made(run, order(table, "Predicted", sample="1"))
    (task,) = tasks(api, project["id"])
    opened = api.call("GET", f"/api/tasks/{task['id']}")
    assert opened["predictions"][0]["result"]
    assert opened["data"]["image"].startswith(("/tasks/", "http"))


def test_a_coding_project_needs_no_backends(run: Run, api: LabelStudio, table: Path) -> None:
    words = order(table, "Coding", template="visual_coding", choices="Sentiment=Yes,No")
    refused = run(*words)
    assert refused.exit_code == 1
    assert "--no-backends" in records(refused)[0]["error"]["hint"]
    assert list(api.projects("Coding")) == []
    (project,) = made(run, [*words, "--no-backends"])
    assert api.connections(project["id"]) == {}
    assert api.project(project["id"]).label_config.count('value="Yes"') == 1


def test_a_personal_access_token_serves_as_well(
    run: Run, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", personal_token(studio))
    (found,) = records(run("doctor", "--json", "--project", studio.project))
    told = {check["what"]: check["told"] for check in found["checks"]}
    assert told["token"] == "personal access token of labeler@localhost"


def personal_token(studio: Studio) -> str:
    with studio.api() as api:
        for token in api.call("GET", "/api/token/"):
            api.call("POST", "/api/token/blacklist/", json={"refresh": token["token"]})
        return str(api.call("POST", "/api/token/")["token"])


def test_backends_are_connected_in_order_verified_and_left_alone_the_second_time(
    run: Run, api: LabelStudio, studio: Studio, table: Path
) -> None:
    (project,) = made(run, [*order(table, "Later", sample="1"), "--no-backends"])
    words = ("backends", "connect", "--project", project["id"], "--json")
    first, second = (records(run(*words))[0] for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    assert [each["url"] for each in second["backends"]] == backend_urls(studio)
    assert all(each["ready"] for each in second["backends"])
    shown = api.call("GET", f"/api/projects/{project['id']}")
    assert shown["model_version"] == "Garments"


def test_a_label_config_that_cannot_be_served_is_refused(run: Run, api: LabelStudio) -> None:
    config = (
        '<View><Image name="image" value="https://images.example/$image"/>'
        '<BrushLabels name="mask" toName="image" smart="false"><Label value="hat"/></BrushLabels>'
        '<RectangleLabels name="box" toName="image" smart="true"><Label value="hat"/>'
        "</RectangleLabels></View>"
    )
    project = api.call("POST", "/api/projects", json={"title": "Hats", "label_config": config})
    result = run("backends", "connect", "--project", project["id"])
    assert result.exit_code == 1
    assert "https://images.example/$image" in result.stderr
    assert api.connections(project["id"]) == {}


def test_labels_that_no_model_knows_are_said_to_be_learned(run: Run, api: LabelStudio) -> None:
    config = (
        '<View><Image name="image" value="$image"/>'
        '<BrushLabels name="mask" toName="image" smart="false"><Label value="Car"/></BrushLabels>'
        '<RectangleLabels name="box" toName="image" smart="true"><Label value="Car"/>'
        "</RectangleLabels></View>"
    )
    project = api.call("POST", "/api/projects", json={"title": "Cars", "label_config": config})
    result = run("backends", "connect", "--project", project["id"])
    assert result.exit_code == 0
    assert NOT_LEARNED_YET in " ".join(result.stdout.split())
    assert len(api.connections(project["id"])) == 2


def test_where_a_backend_cannot_be_reached_the_old_connections_stay(
    run: Run, api: LabelStudio, studio: Studio, table: Path
) -> None:
    (project,) = made(run, order(table, "Steady", sample="1"))
    before = api.connections(project["id"])
    result = run("backends", "connect", "--project", project["id"], "--sam", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert api.connections(project["id"]) == before
    moved = BackendPair(backend_urls(studio)[0], f"http://localhost:{studio.ports['SAM_PORT']}")
    assert connect_backends(api, project["id"], moved)
    assert sorted(webhook_urls_of(studio, project["id"])) == sorted(
        f"{url}/webhook" for url in (moved.segmentation, moved.sam)
    )


def test_annotations_come_into_the_target_and_are_counted_there(
    run: Run, api: LabelStudio, cloud: GcsServer, table: Path
) -> None:
    words = order(table, "Targeted", template="visual_coding", sample="5")
    (project,) = made(run, [*words, "--no-backends"])
    annotate(api, project["id"], 2)
    target = ("storage", "target", "--project", project["id"], "gs://labels/run", "--json")
    assert [records(run(*target))[0]["created"] for _ in range(2)] == [True, False]
    annotate(api, project["id"], 3)
    sync = ("storage", "sync", "--project", project["id"], "--json")
    for _ in range(2):
        result = run(*sync)
        assert result.exit_code == 0, result.output
        (outcome,) = records(result)[0]["targets"]
        assert (outcome["synced"], outcome["annotations"], outcome["present"]) == (5, 5, 5)
    stored = [json.loads(b) for n, b in cloud.content("labels").items() if n.startswith("run/")]
    assert len(stored) == 5
    assert {each["result"][0]["value"]["choices"][0] for each in stored} == {"Neutral"}


def test_annotations_that_the_bucket_lacks_are_named(
    run: Run, api: LabelStudio, cloud: GcsServer, table: Path
) -> None:
    words = order(table, "Lossy", template="visual_coding", sample="5")
    (project,) = made(run, [*words, "--no-backends"])
    annotate(api, project["id"], 2)
    run("storage", "target", "--project", project["id"], "gs://labels/lossy")
    before = set(cloud.content("labels"))
    run("storage", "sync", "--project", project["id"])
    lost = min(set(cloud.content("labels")) - before or before)
    cloud.fault = lambda method, path: 403 if method == "POST" and "/upload/" in path else None
    try:
        cloud.storage.delete_file("labels", lost)
        result = run("storage", "sync", "--project", project["id"])
    finally:
        cloud.fault = lambda _method, _path: None
    assert result.exit_code == 3, result.output
    assert lost.rpartition("/")[2] in result.stderr


def test_a_target_that_is_not_there_is_refused(run: Run, studio: Studio, api: LabelStudio) -> None:
    result = run("storage", "target", "--project", studio.project, "gs://nowhere")
    assert result.exit_code == 1
    assert "segstudio bucket setup" in result.stderr
    assert storages(api, studio.project, "target") == []


def test_without_a_target_nothing_can_be_synchronised(run: Run, studio: Studio) -> None:
    result = run("storage", "sync", "--project", studio.project)
    assert result.exit_code == 1
    assert f"segstudio storage target --project {studio.project}" in result.stderr


def test_the_doctor_finds_all_well_once_the_bucket_is_set_up(
    run: Run, studio: Studio, cloud: GcsServer, table: Path
) -> None:
    (project,) = made(run, order(table, "Healthy", sample="1"))
    cloud.storage.buckets["photos"]["cors"] = []
    sick = run("doctor", "--project", project["id"])
    assert sick.exit_code == 3
    assert f"--origin http://localhost:{studio.ports['LABEL_STUDIO_PORT']}" in sick.stdout
    run("bucket", "setup", "photos", "labels", "--origin", studio.url)
    well = run("doctor", "--project", project["id"])
    assert well.exit_code == 0, well.output
    for part in (
        "legacy token",
        "private addresses",
        "Garments from",
        "21 classes: hair",
        "photos signing",
        "disk",
    ):
        assert part in well.stdout


def test_the_doctor_tells_how_to_connect_what_is_not_connected(run: Run, api: LabelStudio) -> None:
    config = (
        '<View><Image name="i" value="$i"/>'
        '<Choices name="c" toName="i"><Choice value="a"/></Choices></View>'
    )
    project = api.call("POST", "/api/projects", json={"title": "Bare", "label_config": config})
    result = run("doctor", "--project", project["id"])
    assert result.exit_code == 3
    assert f"segstudio backends connect --project {project['id']}" in result.stdout


def test_a_project_that_is_not_there_is_told(run: Run) -> None:
    for words in (("backends", "connect"), ("storage", "sync")):
        result = run(*words, "--project", 9999)
        assert result.exit_code == 1
        assert "there is no project 9999" in result.stderr


def test_all_shipped_templates_are_taken_by_label_studio(run: Run, table: Path) -> None:
    for template in ("runway_fashion", "visual_coding", "polygons"):
        words = order(table, f"From {template}", template=template, sample="1")
        (project,) = made(run, [*words, "--no-backends"])
        assert project["created"]
