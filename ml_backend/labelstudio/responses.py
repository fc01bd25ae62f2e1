"""API objects of Label Studio as values, and how its responses become them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ml_backend.errors import LabelStudioError

_LONGEST = 1000
"""Characters of an error response that are shown."""

PROJECT_FIELDS = (
    "id,title,description,label_config,"
    "task_number,total_annotations_number,skipped_annotations_number,"
    "task_data_login,task_data_password,created_at,sampling,model_version"
)

_CONNECTED = "CO"
"""State of a backend whose last response to Label Studio was valid."""


@dataclass(frozen=True)
class Connection:
    """Connection of a project to an ML backend.

    Attributes:
        title: Title shown in the project's settings.
        url: Address of the backend as Label Studio reaches it.
        interactive: Whether the backend serves the smart tools.
        user: User name for basic auth; empty without.
        password: Password for basic auth; Label Studio stores it and never returns it.
        works: Whether the backend responds to Label Studio and accepts the label config.
        answer: Model version of the backend, or the error.
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
    """Project of Label Studio.

    Attributes:
        id: Project ID.
        title: Project title.
        description: Project description.
        label_config: Label config as XML.
        tasks: Number of tasks.
        annotations: Number of annotations of all tasks, without skipped ones.
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


def parse_connection(answer: Mapping[str, Any]) -> Connection:
    """Parse an ML backend of ``/api/ml``."""
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


def parse_project(answer: Mapping[str, Any]) -> Project:
    """Parse a project that was requested with ``PROJECT_FIELDS``."""
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


def raise_for_status(response: httpx.Response) -> None:
    """Raise an error that says why a response is not a success.

    Raises:
        LabelStudioError: The status is an error; the message contains Label Studio's reason.
    """
    if not response.is_error:
        return
    reason = _error_text(response)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise LabelStudioError(
            f"Label Studio rejected the token: {reason}",
            "create one in Account & Settings, and set LABEL_STUDIO_API_KEY; "
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
    """Return the text of an error response, without markup."""
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
