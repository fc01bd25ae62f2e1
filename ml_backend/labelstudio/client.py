"""Client for those parts of Label Studio's HTTP API that running a project needs.

``label-studio-sdk`` is not used: it cannot upload files, and takes seconds to import.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import httpx

from ml_backend.errors import LabelStudioError
from ml_backend.http_clients import http_client
from ml_backend.labelstudio.auth import TokenSource
from ml_backend.labelstudio.queries import TaskFilter, task_query
from ml_backend.labelstudio.responses import (
    PROJECT_FIELDS,
    Connection,
    Project,
    parse_connection,
    parse_project,
    raise_for_status,
)

_TIMEOUT = httpx.Timeout(120, connect=5)
_PAGE = 1000


SEQUENTIAL, UNIFORM = "Sequential sampling", "Uniform sampling"
UNCERTAINTY = "Uncertainty sampling"
"""Sampling whose label stream begins with the lowest scores."""


@dataclass(frozen=True)
class NewProject:
    """Project to create; its tasks are predicted when they are opened.

    Attributes:
        title: Project title of 3 to 50 characters.
        label_config: Label config as XML.
        description: Project description.
        sampling: Order of the label stream: ``SEQUENTIAL``, ``UNIFORM`` or ``UNCERTAINTY``.
    """

    title: str
    label_config: str
    description: str = ""
    sampling: str = SEQUENTIAL


@dataclass(frozen=True)
class NewTask:
    """Task to create: data for the labeling page, ``meta`` for programs, predictions."""

    data: Mapping[str, Any]
    meta: Mapping[str, str]
    predictions: Sequence[Mapping[str, Any]] = ()


class LabelStudio:
    """Client for one Label Studio and one user; every method may raise LabelStudioError.

    Args:
        url: Address of Label Studio's front page.
        token: Legacy or personal access token of the user.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._http = http_client(base_url=self.url, auth=TokenSource(token), timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def version(self) -> str:
        """Return the version of Label Studio."""
        return str(self.call("GET", "/api/version")["release"])

    def user(self) -> str:
        """Return the e-mail address of the token's user."""
        return str(self.call("GET", "/api/current-user/whoami")["email"])

    def page(self, project: int) -> str:
        """Return the address of a project's page for browsers."""
        return f"{self.url}/projects/{project}/data"

    def has_project(self, project: int) -> bool:
        """Return whether the project exists."""
        response = self._send("GET", f"/api/projects/{project}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        raise_for_status(response)
        return True

    def project(self, project: int) -> Project:
        """Return a project with its current counts."""
        try:
            path, params = f"/api/projects/{project}", {"include": PROJECT_FIELDS}
            return parse_project(self.call("GET", path, params=params))
        except LabelStudioError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            raise LabelStudioError(
                f"there is no project {project} at {self.url}",
                "its number is in its address: …/projects/3/data",
                error.status,
            ) from None

    def projects(self, title: str) -> Iterator[Project]:
        """Return the projects with exactly this title, oldest first."""
        found = self.pages("/api/projects", "results", {"title": title, "ordering": "id"})
        return (parse_project(each) for each in found if each["title"] == title)

    def create_project(self, new: NewProject) -> int:
        """Create a project; return its ID."""
        body = {
            "title": new.title,
            "description": new.description,
            "label_config": new.label_config,
            "show_collab_predictions": True,
            "sampling": new.sampling,
        }
        return int(self.call("POST", "/api/projects", json=body)["id"])

    def connections(self, project: int) -> dict[int, Connection]:
        """Return the project's backends by ID, in the order of connection.

        Label Studio contacts each of them before it responds.
        """
        found = self.call("GET", "/api/ml", params={"project": project})
        found.sort(key=lambda each: int(each["id"]))
        return {each["id"]: parse_connection(each) for each in found}

    def connect(self, project: int, connection: Connection) -> int:
        """Connect a backend that is ready and accepts the label config; return its ID."""
        body = {
            "project": project,
            "title": connection.title,
            "url": connection.url,
            "is_interactive": connection.interactive,
        }
        if connection.user:
            body |= {
                "auth_method": "BASIC_AUTH",
                "basic_auth_user": connection.user,
                "basic_auth_pass": connection.password,
            }
        return int(self.call("POST", "/api/ml", json=body)["id"])

    def disconnect(self, project: int, id_: int, connection: Connection) -> None:
        """Disconnect a backend, and delete the webhook that Label Studio created for it."""
        self.call("DELETE", f"/api/ml/{id_}")
        if connection.url in {other.url for other in self.connections(project).values()}:
            return
        for webhook in self.call("GET", "/api/webhooks", params={"project": project}):
            if webhook["url"] == f"{connection.url}/webhook":
                self.call("DELETE", f"/api/webhooks/{webhook['id']}")

    def show_predictions(self, project: int, title: str) -> None:
        """Show the predictions of the connection with a title, unless others are shown already."""
        path = f"/api/projects/{project}"
        now = self.call("GET", path)
        if not (now["show_collab_predictions"] and now["model_version"]):
            self.call("PATCH", path, json={"show_collab_predictions": True, "model_version": title})

    def find_tasks(
        self, project: int, which: TaskFilter, include: str, size: int = _PAGE
    ) -> list[dict[str, Any]]:
        """Return the first tasks of a project that match a filter, ordered by ID.

        Args:
            project: Project ID.
            which: Filter that selects the tasks.
            include: Comma-separated fields to return of each task.
            size: Maximum number of tasks.
        """
        tasks: list[dict[str, Any]] = self._task_page(project, [which], include, size)["tasks"]
        return tasks

    def tasks(
        self, project: int, include: str, size: int = _PAGE, where: Sequence[TaskFilter] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield all tasks of a project ordered by ID, with one page in memory.

        A page begins after the last task of the previous page, not at a position, so tasks created
        or deleted at the same time do not shift the others.

        Args:
            project: Project ID.
            include: Comma-separated fields to return of each task.
            size: Number of tasks in a page.
            where: Filters that a task must all match; empty: all tasks.
        """
        last, left = 0, 1
        while left > 0:
            later = TaskFilter("id", "greater", last)
            page = self._task_page(project, [later, *where], include, size)
            yield from page["tasks"]
            left = page["total"] - len(page["tasks"])
            last = int(page["tasks"][-1]["id"]) if left else last

    def _task_page(self, project: int, where: Sequence[TaskFilter], include: str, size: int) -> Any:
        params = task_query(project, where, include, size)
        return self.call("GET", "/api/tasks", params=params)

    def task_metas(self, project: int) -> Iterator[dict[str, Any]]:
        """Yield the ``meta`` of each task of the project."""
        return (task["meta"] or {} for task in self.tasks(project, "id,meta"))

    def upload(self, project: int, files: Sequence[tuple[str, Path]]) -> list[str]:
        """Upload files without creating tasks.

        Args:
            project: Project ID.
            files: Name in Label Studio and local path of each file.

        Returns:
            Reference of each file for ``task.data``, in order.
        """
        answer = self.call(
            "POST",
            f"/api/projects/{project}/import",
            params={"commit_to_project": "false"},
            files=[(str(n), (name, path.read_bytes())) for n, (name, path) in enumerate(files)],
        )
        uploads = [
            self.call("GET", f"/api/import/file-upload/{id_}") for id_ in answer["file_upload_ids"]
        ]
        return [f"/data/{upload['file']}" for upload in uploads]

    def create_tasks(self, project: int, tasks: Sequence[NewTask]) -> None:
        """Add tasks to the project."""
        body = [
            {"data": dict(t.data), "meta": dict(t.meta), "predictions": list(t.predictions)}
            for t in tasks
        ]
        self.call("POST", f"/api/projects/{project}/import", json=body)

    def import_predictions(self, project: int, predictions: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions of tasks; Label Studio leaves out those that do not fit the project.

        Args:
            project: Project ID.
            predictions: Predictions in Label Studio's form, each with its ``task``.

        Raises:
            LabelStudioError: It left some out, or did not answer.
        """
        path = f"/api/projects/{project}/import/predictions"
        taken = self.call("POST", path, json=predictions)["created"]
        if taken != len(predictions):
            raise LabelStudioError(
                f"Label Studio took {taken} of {len(predictions)} predictions",
                "the project's label config may have just been changed; run the command again",
                httpx.codes.BAD_REQUEST,
            )

    def pages(self, path: str, key: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the items of a paginated listing, with one page in memory.

        Args:
            path: Path of the listing.
            key: Key of the items in a response.
            params: Query parameters in addition to those of the page.
        """
        for page in count(1):
            try:
                answer = self.call("GET", path, params={**params, "page": page, "page_size": _PAGE})
            except LabelStudioError as error:
                if page > 1 and error.status == httpx.codes.NOT_FOUND:
                    return  # the previous page was full, and the last
                raise
            yield from answer[key]
            if len(answer[key]) < _PAGE:
                return

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request; return the JSON response, or None if empty. Options are httpx's."""
        response = self._send(method, path, **options)
        raise_for_status(response)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise LabelStudioError(
                f"{self.url} did not return JSON for {path}",
                "is it Label Studio itself? see LABEL_STUDIO_URL",
                response.status_code,
            ) from None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise LabelStudioError(
                f"Label Studio at {self.url} does not answer: {error or type(error).__name__}",
                "is it running? see LABEL_STUDIO_URL",
            ) from error
        # The stream, already read, and the response refer to each other: without this, the bytes
        # of hundreds of pages wait for the garbage collector.
        response.stream = httpx.ByteStream(b"")
        return response
