"""Stopped and started again: nothing is lost, nothing comes twice, nothing is left behind."""

import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import LabelStudioError
from tests.support.processes import free_ports
from tests.support.studio import Studio
from tests.support.waiting import alive, descendants

KINDS = ("predictions", "annotations")

pytestmark = pytest.mark.timeout(1200)


def webhook_urls(studio: Studio) -> list[str]:
    hooks = studio.request("GET", "/api/webhooks", project=studio.project)
    return sorted(hook["url"] for hook in hooks)


def work(studio: Studio) -> list[object]:
    """What people and models did: images, predictions, annotations."""
    return [
        (task["id"], task["data"], [done["result"] for kind in KINDS for done in task[kind]])
        for task in studio.tasks()
    ]


def backend_urls(studio: Studio) -> list[str]:
    return [f"http://127.0.0.1:{studio.ports[name]}" for name in ("SEGMENTATION_PORT", "SAM_PORT")]


def test_the_screen_says_what_starts_where_and_how_to_go_on(studio: Studio) -> None:
    lines = studio.output.splitlines()
    for name, url in {"label-studio": studio.url, "sam": backend_urls(studio)[1]}.items():
        address = url.replace("localhost", "127.0.0.1")
        assert any(re.search(rf"{name} +{address}", line) for line in lines)
    ready = lines.index(f"Ready: {studio.project_url}")
    assert lines[ready + 1] == f"Login: {studio.state.email}  password: {studio.state.password}"
    assert lines[ready + 2 : ready + 4] == [
        "Guide: docs/labeling.md",
        "Stop:  Ctrl-C. `make up` continues with the same project.",
    ]
    assert len(lines[:ready]) < 10, "calm: only what was started"
    assert not any('"level": "info"' in line for line in lines)


def test_ctrl_c_ends_every_process_and_the_next_start_goes_on(studio: Studio) -> None:
    assert studio.process is not None
    project, state, before = studio.project, studio.state, work(studio)
    started = descendants(studio.process.pid)
    assert len(started) >= 5, "Label Studio, two gunicorn masters and their workers"

    assert studio.stop(signal.SIGINT) == 0
    assert not [pid for pid in started if alive(pid)]

    studio.start(with_images=False)
    assert studio.project == project
    assert studio.state == state
    assert work(studio) == before


def test_a_start_on_other_ports_with_a_new_photograph_adds_that_one_alone(studio: Studio) -> None:
    before = {task["id"] for task in studio.tasks()}
    assert studio.stop(signal.SIGTERM) == 0
    studio.ports |= zip(("SEGMENTATION_PORT", "SAM_PORT"), free_ports(2), strict=True)
    (studio.images / "autumn").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    Image.fromarray(noise).save(studio.images / "autumn" / "look é 1.jpg")
    studio.start()

    new = [task for task in studio.tasks() if task["id"] not in before]
    assert [task["data"]["Name"] for task in new] == ["autumn/look é 1"]
    image = studio.request("GET", f"/api/tasks/{new[0]['id']}")
    assert image["predictions"], "the segmentation backend can load the new photograph"

    with studio.api() as api:
        connections = list(api.connections(studio.project).values())
    assert [connection.url for connection in connections] == backend_urls(studio)
    assert [connection.interactive for connection in connections] == [False, True]
    assert webhook_urls(studio) == sorted(f"{url}/webhook" for url in backend_urls(studio))


def test_nobody_has_label_studio_fetch_from_a_clouds_metadata_server(studio: Studio) -> None:
    url = {"url": "http://169.254.169.254/latest/meta-data/tasks.json"}
    with studio.api() as api, pytest.raises(LabelStudioError, match="reserved network address"):
        api.call("POST", f"/api/projects/{studio.project}/import", data=url)


def test_no_secret_is_in_a_log_or_readable_by_others(studio: Studio) -> None:
    folder = studio.folder / "state"
    state = studio.state
    for log in (folder / "logs").iterdir():
        text = log.read_text()
        assert state.password not in text
        assert state.token not in text
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_label_studio_listens_on_this_machine_alone(studio: Studio) -> None:
    listening = {
        line.split()[1]
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        for line in table.read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    for port in studio.ports.values():
        assert [address for address in listening if address.endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]
