"""The calls of Label Studio's HTTP API that running a project needs.

``label-studio-sdk`` is not used here: it cannot upload files, and takes seconds to import.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from segstudio.errors import LabelStudioError

_TIMEOUT = httpx.Timeout(120, connect=5)
_PAGE = 1000


@dataclass(frozen=True)
class Connection:
    """An ML backend as a project is connected to it.

    Attributes:
        title: For people, in the project's settings.
        url: As Label Studio reaches it.
        interactive: Whether it answers the smart tools.
    """

    title: str
    url: str
    interactive: bool


@dataclass(frozen=True)
class NewTask:
    """A task to be made: what the labeling page shows, and what only programs read."""

    data: Mapping[str, str]
    meta: Mapping[str, str]


class LabelStudio:
    """A Label Studio, as the user of one token sees it; every method may raise LabelStudioError.

    Args:
        url: Without a path.
        token: Legacy API token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Token {token}"},
            timeout=_TIMEOUT,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def has_project(self, project: int) -> bool:
        """Whether the project is there."""
        response = self._send("GET", f"/api/projects/{project}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        _check(response)
        return True

    def create_project(self, title: str, label_config: str) -> int:
        """Make a project whose tasks get their prediction when they are opened; returns its id."""
        body = {"title": title, "label_config": label_config, "show_collab_predictions": True}
        return int(self._call("POST", "/api/projects", json=body)["id"])

    def connections(self, project: int) -> dict[int, Connection]:
        """The project's backends by their id, which is the order they were connected in."""
        found = self._call("GET", "/api/ml", params={"project": project})
        return {
            each["id"]: Connection(each["title"], each["url"], each["is_interactive"])
            for each in sorted(found, key=lambda each: int(each["id"]))
        }

    def connect(self, project: int, connection: Connection) -> None:
        """Connect a backend; it must be ready and must accept the project's label config."""
        body = {
            "project": project,
            "title": connection.title,
            "url": connection.url,
            "is_interactive": connection.interactive,
        }
        self._call("POST", "/api/ml", json=body)

    def disconnect(self, project: int, id_: int, connection: Connection) -> None:
        """Remove a backend and the webhook that Label Studio made for it and would leave behind."""
        self._call("DELETE", f"/api/ml/{id_}")
        for webhook in self._call("GET", "/api/webhooks", params={"project": project}):
            if webhook["url"] == f"{connection.url}/webhook":
                self._call("DELETE", f"/api/webhooks/{webhook['id']}")

    def task_metas(self, project: int) -> list[dict[str, str]]:
        """The ``meta`` of each task of the project."""
        metas: list[dict[str, str]] = []
        total = 1
        while len(metas) < total:
            answer = self._call(
                "GET",
                "/api/tasks",
                params={
                    "project": project,
                    "include": "id,meta",
                    "page_size": _PAGE,
                    "page": len(metas) // _PAGE + 1,
                },
            )
            metas += [task["meta"] or {} for task in answer["tasks"]]
            total = answer["total"]
        return metas

    def upload(self, project: int, files: Sequence[tuple[str, Path]]) -> list[str]:
        """Upload files without making tasks of them yet.

        Args:
            project: That they belong to.
            files: The name to give and the file, each.

        Returns:
            What a task's data must hold to show each file, in order.
        """
        answer = self._call(
            "POST",
            f"/api/projects/{project}/import",
            params={"commit_to_project": "false"},
            files=[(str(n), (name, path.read_bytes())) for n, (name, path) in enumerate(files)],
        )
        uploads = [
            self._call("GET", f"/api/import/file-upload/{id_}") for id_ in answer["file_upload_ids"]
        ]
        return [f"/data/{upload['file']}" for upload in uploads]

    def create_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Add tasks to the project."""
        body = [{"data": dict(task.data), "meta": dict(task.meta)} for task in tasks]
        self._call("POST", f"/api/projects/{project}/import", json=body)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        response = self._send(method, path, **options)
        _check(response)
        return response.json() if response.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise LabelStudioError(
                f"Label Studio at {self._http.base_url} does not answer: {error}", "is it running?"
            ) from error


def _check(response: httpx.Response) -> None:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise LabelStudioError(
            "Label Studio does not know the token", "its user may have changed it"
        )
    if response.is_error:
        request = response.request
        raise LabelStudioError(
            f"Label Studio refused {request.method} {request.url.path} "
            f"with {response.status_code}: {response.text[:500]}"
        )
