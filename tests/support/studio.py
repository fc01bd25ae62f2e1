"""A ``segstudio up`` of our own: the very program that people run, on free ports."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ml_backend.labelstudio.client import LabelStudio, NewProject, NewTask
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.local.state import State
from tests.support.repository import ROOT
from tests.support.waiting import eventually

SEGSTUDIO = Path(sys.executable).with_name("segstudio")

_PATIENCE = 700  # the program itself gives up after ten minutes
_READY = re.compile(r"^Ready: (http://localhost:\d+/projects/(\d+)/data)$", re.MULTILINE)


@dataclass
class Studio:
    """Label Studio and both backends, started, stopped and started again in one folder.

    Attributes:
        folder: Holds the photographs, the state and what the program prints.
        ports: The variable that names each → a port that was free.
        variables: Others of its environment.
    """

    folder: Path
    ports: dict[str, int]
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def images(self) -> Path:
        """The folder of photographs that ``IMAGES`` names."""
        return self.folder / "photographs"

    @property
    def output(self) -> str:
        """What the program has printed since its last start."""
        return (self.folder / "output").read_text()

    @property
    def state(self) -> State:
        """Login and project."""
        return State.model_validate_json((self.folder / "state" / "state.json").read_bytes())

    @property
    def project(self) -> int:
        """Id of the project, as the ready line tells it."""
        return int(self._ready().group(2))

    @property
    def project_url(self) -> str:
        """The address that the ready line tells."""
        return self._ready().group(1)

    @property
    def url(self) -> str:
        """Label Studio itself."""
        return f"http://localhost:{self.ports['LABEL_STUDIO_PORT']}"

    def start(self, *, with_images: bool = True) -> None:
        """Start, and wait for the ready line."""
        assert self.process is None
        with (self.folder / "output").open("wb") as output:
            process = self.process = subprocess.Popen(
                [SEGSTUDIO, "up"],
                env=self._environment(with_images),
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        eventually(
            lambda: _READY.search(self.output) or process.poll() is not None, seconds=_PATIENCE
        )
        self._ready()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self.process = None
        return code

    @contextmanager
    def api(self) -> Iterator[LabelStudio]:
        """The program's own client, as the one user."""
        with LabelStudio(self.url, self.state.token) as label_studio:
            yield label_studio

    def request(self, method: str, path: str, **params: str | int) -> Any:
        """Any call of Label Studio's API, past the program's own client."""
        response = httpx.request(
            method,
            self.url + path,
            params=params,
            headers={"Authorization": f"Token {self.state.token}"},
            timeout=60,
        )
        return response.raise_for_status().json() if response.content else None

    def tasks(self) -> list[dict[str, Any]]:
        """The project's tasks, annotations included."""
        answer = self.request("GET", "/api/tasks", project=self.project, fields="all")
        tasks: list[dict[str, Any]] = answer["tasks"]
        return tasks

    def new_task(self, photograph: str, **data: str) -> int:
        """Make another task with the image of an imported photograph; returns its id."""
        image = self.reference(photograph)
        with self.api() as api:
            api.create_tasks(self.project, [NewTask({"image": image, **data}, {})])
        return int(max(task["id"] for task in self.tasks()))

    def reference(self, photograph: str) -> str:
        """Where an imported photograph is, as tasks have it."""
        (image,) = {t["data"]["image"] for t in self.tasks() if t["data"].get("Name") == photograph}
        return str(image)

    @property
    def pair(self) -> BackendPair:
        """Both backends."""
        names = ("SEGMENTATION_PORT", "SAM_PORT")
        return BackendPair(*(f"http://localhost:{self.ports[name]}" for name in names))

    def new_project(
        self, title: str, label_config: str, data: Any, pair: BackendPair | None = None
    ) -> tuple[int, int]:
        """Make a project of one task, connected to both backends; returns the ids of both.

        Args:
            title: Project title.
            label_config: Label config.
            data: Data of the task, or the name of an imported photograph.
            pair: Other backends than those of ``make up``.
        """
        if isinstance(data, str):
            data = {"image": self.reference(data)}
        with self.api() as api:
            project = api.create_project(NewProject(title, label_config))
            connect_backends(api, project, pair or self.pair)
            api.create_tasks(project, [NewTask(data, {})])
        (task,) = self.request("GET", "/api/tasks", project=project, fields="all")["tasks"]
        return project, int(task["id"])

    def _ready(self) -> re.Match[str]:
        ready = _READY.search(self.output)
        assert ready, self.output
        return ready

    def _environment(self, with_images: bool) -> dict[str, str]:
        ports = {name: str(port) for name, port in self.ports.items()}
        images = str(self.images) if with_images else ""
        folders = {"STATE_DIR": str(self.folder / "state"), "IMAGES": images}
        return {
            **os.environ,
            **ports,
            **folders,
            **self.variables,
            "CI": "true",
            "HOST": "not.an.address",
        }
