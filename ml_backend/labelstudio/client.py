"""The calls of Label Studio's HTTP API that running a project needs.

``label-studio-sdk`` is not used here: it cannot upload files, and takes seconds to import.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from ml_backend.errors import LabelStudioError
from ml_backend.http_clients import http_client
from ml_backend.labelstudio.auth import TokenSource
from ml_backend.labelstudio.queries import TaskFilter, task_query

_TIMEOUT = httpx.Timeout(120, connect=5)
_PAGE = 1000
_LONGEST = 1000

_PROJECT_FIELDS = (
    "id,title,description,label_config,"
    "task_number,total_annotations_number,skipped_annotations_number,"
    "task_data_login,task_data_password,created_at,sampling,model_version"
)

SEQUENTIAL, UNIFORM = "Sequential sampling", "Uniform sampling"
UNCERTAINTY = "Uncertainty sampling"
"""Sampling of a project whose label stream begins with the lowest scores."""

_CONNECTED = "CO"
"""State of a backend that Label Studio just got good answers from."""


@dataclass(frozen=True)
class Connection:
    """An ML backend as a project is connected to it.

    Attributes:
        title: For people, in the project's settings.
        url: As Label Studio reaches it.
        interactive: Whether it answers the smart tools.
        user: Name for basic auth, if it asks for one.
        password: For basic auth; Label Studio takes it and never tells it.
        works: Whether Label Studio got an answer from it, and it takes the label config.
        answer: Its model version, or what is wrong.
    """

    title: str
    url: str
    interactive: bool
    user: str = ""
    password: str = field(default="", compare=False, repr=False)
    works: bool = True
    answer: str = field(default="", compare=False)


@dataclass(frozen=True)
class Project:
    """What a project is.

    Attributes:
        id: Its number.
        title: For people.
        description: For people.
        label_config: XML.
        tasks: Number of tasks.
        annotations: Number of annotations of all tasks, skipped ones left out.
        skipped: Number of skipped annotations.
        login: User name and password for the host of the tasks' images; None without.
        created_at: Time of creation, in ISO 8601.
        sampling: Order of the label stream, such as ``UNCERTAINTY``.
        model_version: Title or model version whose predictions labelers see; empty: none.
    """

    id: int
    title: str
    description: str
    label_config: str = field(repr=False)
    tasks: int
    annotations: int
    skipped: int
    login: tuple[str, str] | None = field(default=None, repr=False)
    created_at: str = ""
    sampling: str = ""
    model_version: str = ""


@dataclass(frozen=True)
class NewProject:
    """A project to be made; its tasks get their prediction when they are opened.

    Attributes:
        title: 3 to 50 characters.
        label_config: XML.
        description: For people.
        sampling: Order of the label stream: ``SEQUENTIAL``, ``UNIFORM`` or ``UNCERTAINTY``.
    """

    title: str
    label_config: str
    description: str = ""
    sampling: str = SEQUENTIAL


@dataclass(frozen=True)
class NewTask:
    """A task to be made: what the labeling page shows, what only programs read, predictions."""

    data: Mapping[str, str]
    meta: Mapping[str, str]
    predictions: Sequence[Mapping[str, Any]] = ()


class LabelStudio:
    """A Label Studio, as the user of one token sees it; every method may raise LabelStudioError.

    Args:
        url: Of its front page.
        token: Legacy or personal access token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._http = http_client(base_url=self.url, auth=TokenSource(token), timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def version(self) -> str:
        """Of Label Studio itself."""
        return str(self.call("GET", "/api/version")["release"])

    def user(self) -> str:
        """E-mail address of the token's user."""
        return str(self.call("GET", "/api/current-user/whoami")["email"])

    def page(self, project: int) -> str:
        """Address of a project in the browser."""
        return f"{self.url}/projects/{project}/data"

    def has_project(self, project: int) -> bool:
        """Whether the project is there."""
        response = self._send("GET", f"/api/projects/{project}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return False
        _raise_for_status(response)
        return True

    def project(self, project: int) -> Project:
        """One project."""
        try:
            path, params = f"/api/projects/{project}", {"include": _PROJECT_FIELDS}
            return _parse_project(self.call("GET", path, params=params))
        except LabelStudioError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            raise LabelStudioError(
                f"there is no project {project} at {self.url}",
                "its number is in its address: …/projects/3/data",
                error.status,
            ) from None

    def projects(self, title: str) -> Iterator[Project]:
        """The projects of just this title, oldest first."""
        found = self.pages("/api/projects", "results", {"title": title, "ordering": "id"})
        return (_parse_project(each) for each in found if each["title"] == title)

    def create_project(self, new: NewProject) -> int:
        """Make a project; returns its id."""
        body = {
            "title": new.title,
            "description": new.description,
            "label_config": new.label_config,
            "show_collab_predictions": True,
            "sampling": new.sampling,
        }
        return int(self.call("POST", "/api/projects", json=body)["id"])

    def connections(self, project: int) -> dict[int, Connection]:
        """The project's backends by their id, which is the order they were connected in.

        Label Studio asks each of them before it answers.
        """
        found = self.call("GET", "/api/ml", params={"project": project})
        found.sort(key=lambda each: int(each["id"]))
        return {each["id"]: _parse_connection(each) for each in found}

    def connect(self, project: int, connection: Connection) -> int:
        """Connect a backend that is ready and takes the label config; returns an id."""
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
        """Remove a backend and the webhook that Label Studio made for it and would leave behind."""
        self.call("DELETE", f"/api/ml/{id_}")
        if connection.url in {other.url for other in self.connections(project).values()}:
            return
        for webhook in self.call("GET", "/api/webhooks", params={"project": project}):
            if webhook["url"] == f"{connection.url}/webhook":
                self.call("DELETE", f"/api/webhooks/{webhook['id']}")

    def show_predictions(self, project: int, title: str) -> None:
        """Show what the connection of a title predicts, unless predictions are shown already."""
        path = f"/api/projects/{project}"
        now = self.call("GET", path)
        if not (now["show_collab_predictions"] and now["model_version"]):
            self.call("PATCH", path, json={"show_collab_predictions": True, "model_version": title})

    def find_tasks(
        self, project: int, which: TaskFilter, include: str, size: int = _PAGE
    ) -> list[dict[str, Any]]:
        """Return the first tasks of a project that a filter takes, by their number.

        Args:
            project: Project ID.
            which: Filter.
            include: Fields of each task, separated by commas.
            size: Maximum number of tasks.
        """
        tasks: list[dict[str, Any]] = self._task_page(project, [which], include, size)["tasks"]
        return tasks

    def tasks(
        self, project: int, include: str, size: int = _PAGE, where: Sequence[TaskFilter] = ()
    ) -> Iterator[dict[str, Any]]:
        """Yield all tasks of a project by their number, with one page of them in memory.

        A page begins after the last task of the page before, not at a position: tasks that come or
        go meanwhile move none of the others.

        Args:
            project: Project ID.
            include: Fields of each task, separated by commas.
            size: Tasks in a page.
            where: Filters that all must take a task; without any, all tasks are given.
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
        """The ``meta`` of each task of the project."""
        return (task["meta"] or {} for task in self.tasks(project, "id,meta"))

    def upload(self, project: int, files: Sequence[tuple[str, Path]]) -> list[str]:
        """Upload files without making tasks of them yet.

        Args:
            project: That they belong to.
            files: The name to give and the file, each.

        Returns:
            What a task's data must hold to show each file, in order.
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
                "was the label config of the project changed meanwhile? run it again",
                httpx.codes.BAD_REQUEST,
            )

    def pages(self, path: str, key: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The items of a listing, one page of them at a time in memory.

        Args:
            path: Of the listing.
            key: Of the items in an answer.
            params: Beside the page's.
        """
        for page in count(1):
            try:
                answer = self.call("GET", path, params={**params, "page": page, "page_size": _PAGE})
            except LabelStudioError as error:
                if page > 1 and error.status == httpx.codes.NOT_FOUND:
                    return  # the page before was full, and the last
                raise
            yield from answer[key]
            if len(answer[key]) < _PAGE:
                return

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Any other call: the answer's JSON, None where it is empty; options are httpx's."""
        response = self._send(method, path, **options)
        _raise_for_status(response)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise LabelStudioError(
                f"{self.url} answers {path} with something else than JSON",
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
        # The stream, read by now, holds the response in a circle: without this, the bytes of
        # hundreds of pages wait for the garbage collector.
        response.stream = httpx.ByteStream(b"")
        return response


def _parse_connection(answer: Mapping[str, Any]) -> Connection:
    works = answer["state"] == _CONNECTED
    problem = answer["error_message"] or "Label Studio does not reach it"
    return Connection(
        title=answer["title"],
        url=answer["url"],
        interactive=answer["is_interactive"],
        user=answer["basic_auth_user"] or "",
        works=works,
        answer=str(answer["model_version"] if works else problem),
    )


def _parse_project(answer: Mapping[str, Any]) -> Project:
    login, password = answer.get("task_data_login"), answer.get("task_data_password")
    return Project(
        id=int(answer["id"]),
        title=answer["title"],
        description=answer["description"] or "",
        label_config=answer["label_config"],
        tasks=answer["task_number"] or 0,
        annotations=answer["total_annotations_number"] or 0,
        skipped=answer["skipped_annotations_number"] or 0,
        login=(login, password) if login and password else None,
        created_at=answer.get("created_at") or "",
        sampling=answer.get("sampling") or "",
        model_version=answer.get("model_version") or "",
    )


def _raise_for_status(response: httpx.Response) -> None:
    if not response.is_error:
        return
    reason = _error_text(response)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise LabelStudioError(
            f"Label Studio does not take the token: {reason}",
            "make one in Account & Settings, and set LABEL_STUDIO_API_KEY; "
            "legacy tokens are off by default in new organisations",
            response.status_code,
        )
    request = response.request
    raise LabelStudioError(
        f"Label Studio refused {request.method} {request.url.path} "
        f"with {response.status_code}: {reason}",
        status=response.status_code,
    )


def _error_text(response: httpx.Response) -> str:
    """Return the text of an error answer, without markup."""
    try:
        answer = response.json()
        errors = answer.get("validation_errors") or {"": [answer["detail"]]}
        text = "; ".join(
            ": ".join(filter(None, [name.removeprefix("non_field_errors"), *map(str, told)]))
            for name, told in errors.items()
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        text = response.text
    return re.sub(r"\s+", " ", re.sub(r"<a .*?</a>[^.]*\.", "", text))[:_LONGEST]
