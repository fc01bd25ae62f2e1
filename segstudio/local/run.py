"""``segstudio up`` and ``segstudio serve``, from the first check to the last signal."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from segstudio.data.tables import describe_left_out
from segstudio.errors import ProcessError
from segstudio.labelstudio.ml_backends import BackendPair
from segstudio.local import services
from segstudio.local.demo_project import DemoProjectSpec, update_demo_project
from segstudio.local.images import Photograph, find_photographs
from segstudio.local.log_view import LogView
from segstudio.local.ports import check_ports
from segstudio.local.processes import Process, Program, guarded, running
from segstudio.local.state import State, private_folder, read_state, state_folder, write_state
from segstudio.local.upgrade import upgrade_line
from segstudio.settings import UpSettings

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LOGS = "Warnings and errors appear below; the logs have all messages."

Work = Callable[[Sequence[Process]], Coroutine[Any, Any, None]]


def up(settings: UpSettings, screen: LogView) -> None:
    """Start Label Studio and both backends with a project, and run until a signal.

    Raises:
        SegstudioError: A program cannot be started or exited; nothing is left running.
    """
    check_ports({"LABEL_STUDIO_PORT": settings.label_studio_port, **_backend_ports(settings)})
    left_out: Counter[str] = Counter()
    photographs = find_photographs(settings.images, left_out) if settings.images else []
    if left_out:
        screen.print(f"IMAGES: {describe_left_out(left_out)}")
    with state_folder(settings.state_dir) as folder:
        start = _Start(settings, screen, folder, read_state(folder), photographs)
        _run_until_stopped(_supervise(start.parts, folder / "logs", screen, start.work))


def serve(settings: UpSettings, screen: LogView) -> None:
    """Start both backends alone, and run until a signal.

    Raises:
        SegstudioError: A backend cannot be started or exited; nothing is left running.
    """
    check_ports(_backend_ports(settings))
    parts = services.backends(settings, {})
    learner = [services.learner(settings, {})] if _knows_label_studio() else []

    async def work(processes: Sequence[Process]) -> None:
        await screen.wait(processes)
        screen.print("")
        for part in parts:
            screen.print(f"Ready: {part.name} at {part.url}", "bold green")
        screen.print(f"Stop:  Ctrl-C. {_LOGS}", "dim")
        await screen.follow(processes)

    logs = private_folder(settings.state_dir) / "logs"
    _run_until_stopped(_supervise([*parts, *learner], logs, screen, work))


def _knows_label_studio() -> bool:
    """Return whether annotations, which the learner needs, can be read."""
    names = ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY")
    return all(os.environ.get(name) for name in names)


@dataclass(frozen=True)
class _Start:
    """One run of ``segstudio up`` whose checks have passed."""

    settings: UpSettings
    screen: LogView
    folder: Path
    state: State
    photographs: Sequence[Photograph]

    @property
    def parts(self) -> tuple[Program, ...]:
        variables = services.joined_to(self.settings, self.folder, self.state)
        return (
            services.label_studio(self.settings, self.folder, self.state),
            *services.backends(self.settings, variables),
            services.learner(self.settings, variables),
        )

    @property
    def _pair(self) -> BackendPair:
        return BackendPair(*(part.url for part in self.parts[1:3]))

    async def work(self, processes: Sequence[Process]) -> None:
        await self.screen.wait(processes)
        project = await asyncio.to_thread(self._prepare)
        port, state = self.settings.label_studio_port, self.state
        self.screen.print("")
        self.screen.print(f"Ready: http://localhost:{port}/projects/{project}/data", "bold green")
        self.screen.print(f"Login: {state.email}  password: {state.password}")
        self.screen.print("Guide: docs/labeling.md")
        self.screen.print("Stop:  Ctrl-C. `make up` continues with the same project.")
        if larger := await asyncio.to_thread(upgrade_line, self._pair):
            self.screen.print(larger, "dim")
        self.screen.print(_LOGS, "dim")
        await self.screen.follow(processes)

    def _prepare(self) -> int:
        try:
            return self._update_project()
        except LabelStudioError as error:
            if error.status != httpx.codes.UNAUTHORIZED:
                raise
            raise ProcessError(
                f"the login in {self.folder}/state.json does not match the database in that folder",
                "restore the file, or move the folder away to start over",
            ) from None

    def _update_project(self) -> int:
        url, token = services.label_studio_url(self.settings), self.state.token
        with LabelStudio(url, token) as label_studio, self.screen.uploading() as advance:
            spec = DemoProjectSpec(self._pair, self.photographs, self.folder / "samples")
            return update_demo_project(
                label_studio, self.state.project, spec, self._remember_project, advance
            )

    def _remember_project(self, project: int) -> None:
        write_state(self.folder, self.state.model_copy(update={"project": project}))


def _backend_ports(settings: UpSettings) -> dict[str, int]:
    return {"SEGMENTATION_PORT": settings.segmentation_port, "SAM_PORT": settings.sam_port}


async def _supervise(parts: Sequence[Program], logs: Path, screen: LogView, work: Work) -> None:
    screen.print(f"Starting; the first time takes a minute or two. Logs: {logs}")
    async with running(parts, logs) as processes:
        try:
            await guarded(processes, work(processes))
        except asyncio.CancelledError:
            screen.print("Stopping …", "dim")
            raise


def _run_until_stopped(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main``, and cancel it on Ctrl-C, SIGTERM or when the terminal closes."""

    async def cancellable() -> None:
        task = asyncio.create_task(main)
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await task

    with suppress(asyncio.CancelledError):
        asyncio.run(cancellable())
