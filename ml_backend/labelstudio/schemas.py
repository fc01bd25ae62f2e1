"""Requests of Label Studio to an ML backend, and the responses.

Requests are decoded by msgspec, which skips the fields that nothing here reads (annotations,
drafts, earlier predictions) without building them: tens of megabytes of old masks take no memory,
and a fraction of a second in which no health check is answered. Responses are pydantic models,
validated on creation.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, Field

from ml_backend.images.base import TaskAccess

MOST_TASKS = 100_000
"""Maximum tasks of one call; the response needs an entry for each."""

Login = tuple[str, str] | None

_NOTHING: Mapping[str, Any] = MappingProxyType({})
"""Shared by all tasks without data: a body of nothing but ``{}`` may hold millions."""


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A task.

    Attributes:
        id: Task ID; strings come from callers other than Label Studio.
        project: Project ID.
        data: Values of the label config's variables, including the image reference.
        meta: Metadata for programs, such as ``control_tasks``.
    """

    id: int | str | None = None
    project: Any = None
    data: Mapping[str, Any] = _NOTHING
    meta: Any = None

    @property
    def credentials(self) -> Login:
        """User name and password for the host of the images; None without."""
        return None

    @property
    def access(self) -> TaskAccess:
        """Whom to ask for the task's images, with which login."""
        project = self.project if isinstance(self.project, int) else None
        return TaskAccess(self.id if isinstance(self.id, int) else None, project, self.credentials)


class TaskWithLogin(Task, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A task with the login for its images, which Label Studio sends once per call in ``params``.

    A separate class, because a body may hold millions of tasks and each field costs 16 bytes.

    Attributes:
        login: User name and password for the host of the images.
    """

    login: Login = msgspec.field(default=None, name="task_data_login")

    @property
    def credentials(self) -> Login:
        """See ``Task``."""
        return self.login


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A draft or an annotation of a task.

    Attributes:
        id: ID of the annotation or draft.
        annotation: For a draft, ID of the annotation being edited; None for a new one.
        was_cancelled: Whether the task was skipped.
        result: Entries as Label Studio stores them.
    """

    id: int | None = None
    annotation: int | None = 0
    was_cancelled: bool | None = False
    result: list[Any] | None = None


class LabeledTask(TaskWithLogin, frozen=True, kw_only=True):
    """A task with the asking user's drafts and all annotations."""

    drafts: list[Work] = []
    annotations: list[Work] = []


class PredictParams(msgspec.Struct, frozen=True):
    """Parameters of a call.

    Attributes:
        context: Prompts drawn with the smart tools; null in batch mode.
        login: ``task_data_login`` of the project.
        password: ``task_data_password`` of the project.
    """

    context: Any = None
    login: Any = None
    password: Any = None


class PredictRequest(msgspec.Struct, frozen=True):
    """``POST /predict``; ``project`` is ``"<id>.<created unix time>"``."""

    tasks: Annotated[list[Task], msgspec.Meta(max_length=MOST_TASKS)]
    label_config: str
    params: PredictParams | None = None
    project: Any = None

    @property
    def context(self) -> Any:
        """Interactive context as sent; None in batch mode."""
        return self.params.context if self.params else None

    @property
    def tasks_with_login(self) -> Sequence[Task]:
        """Return the tasks, each with the login for its images if there is one."""
        params = self.params or PredictParams()
        login, password = params.login, params.password
        if not (isinstance(login, str) and isinstance(password, str) and login):
            return self.tasks
        pair = (login, password)
        return [_with_login(task, pair) for task in self.tasks]


def _with_login(task: Task, login: Login) -> Task:
    if isinstance(task, TaskWithLogin):
        return msgspec.structs.replace(task, login=login)
    return TaskWithLogin(
        id=task.id, project=task.project, data=task.data, meta=task.meta, login=login
    )


class InteractiveRequest(PredictRequest, frozen=True):
    """``POST /predict`` whose answer depends on existing regions."""

    tasks: Annotated[list[LabeledTask], msgspec.Meta(max_length=MOST_TASKS)]  # type: ignore[assignment]


class SetupRequest(msgspec.Struct, frozen=True):
    """``POST /setup``; Label Studio calls the label config ``schema`` here."""

    label_config: str = msgspec.field(name="schema")
    project: Any = None


WebhookRequest = dict[str, Any]
"""``POST /webhook``: the event's objects, and its name under ``action``."""


class Region(BaseModel):
    """A region of a prediction, in Label Studio's format.

    ``value`` has the format of the control's type; its percentages and run lengths refer to
    ``original_width`` x ``original_height``, the image's size after EXIF orientation. If labels
    come from a separate list, a region is two of these with one ID. ``item_index`` is the page.
    """

    id: str
    from_name: str
    to_name: str
    type: str
    value: dict[str, Any]
    original_width: int
    original_height: int
    image_rotation: int = 0
    item_index: int | None = Field(default=None, exclude_if=lambda page: page is None)
    origin: Literal["prediction"] = "prediction"
    score: Annotated[float, Field(ge=0, le=1)]


class ChosenAnswer(BaseModel):
    """Predicted answer to a question on a whole image.

    As Label Studio has it: without the size of the image.
    """

    id: str
    from_name: str
    to_name: str
    type: Literal["choices"] = "choices"
    value: dict[str, list[str]]
    item_index: int | None = Field(default=None, exclude_if=lambda page: page is None)
    origin: Literal["prediction"] = "prediction"
    score: Annotated[float, Field(ge=0, le=1)]


class StatusText(BaseModel):
    """Text shown to the labeler at once, in a TextArea of the label config."""

    id: str = "status"
    from_name: str
    to_name: str
    type: Literal["textarea"] = "textarea"
    value: dict[str, list[str]]


class Prediction(BaseModel):
    """Prediction of one task. An empty ``result`` means that nothing was found.

    ``remark`` is a text for the labeler about what was not found; it is not serialized.
    """

    result: list[Region | ChosenAnswer]
    score: Annotated[float, Field(ge=0, le=1)]
    model_version: str
    remark: str = Field("", exclude=True)


def mean_score(scores: Sequence[float]) -> float:
    """Return the score of a prediction, the mean of its results' scores; 0 without any."""
    return sum(scores) / len(scores) if scores else 0.0


class Suggestion(BaseModel):
    """Response to a click: a prediction's regions, and optionally a text for the labeler."""

    result: list[Region | ChosenAnswer | StatusText]
    score: Annotated[float, Field(ge=0, le=1)]
    model_version: str


class PredictResponse(BaseModel):
    """One entry per task, in order; an empty list makes Label Studio ask again."""

    results: list[Prediction | Suggestion | Annotated[list[Any], Field(max_length=0)]]
    model_version: str
