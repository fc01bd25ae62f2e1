"""Everything that can go wrong on purpose, in one tree.

Every error carries what happened and, in ``hint``, what the reader can do about it::

    SegstudioError
    ├── SettingsError            a setting is missing or wrong; the program does not start
    │   └── CredentialsError     GOOGLE_APPLICATION_CREDENTIALS_BASE64: which step failed
    ├── ModelError               weights missing, damaged, or not what their name says
    ├── LabelStudioError         Label Studio does not answer, or refuses what it is asked
    ├── RequestError             the caller's request cannot be served (HTTP status in ``status``)
    │   ├── LabelConfigError     the label config lacks what the model needs
    │   ├── UnauthorizedError    basic auth missing or wrong
    │   └── BusyError            the model is still loading, or the queue is full
    └── TaskError                one task failed; the others are answered
        ├── PromptError          the labeler's context holds nothing to work with
        ├── DeadlineExceededError          the time budget of the request was spent before this task
        └── ImageError           the task's image
            ├── ImageReferenceError   not a reference we can follow (scheme, empty, malformed)
            ├── ImageRefusedError     an address or path that must not be fetched
            ├── ImageFetchError       not found, no access, time-out, server error
            └── ImageDecodeError      fetched, but not an image we accept (format, size, damage)
"""

from typing import ClassVar


class SegstudioError(Exception):
    """Base of all: a message for people, and what to do in ``hint`` (may be empty)."""

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(SegstudioError):
    """A setting is missing or wrong."""

    kind = "settings"


class CredentialsError(SettingsError):
    """The service-account credentials cannot be used; names the step, never the secret."""

    kind = "credentials"


class ModelError(SegstudioError):
    """Model weights are missing, damaged, or not what their name says."""

    kind = "model"


class LabelStudioError(SegstudioError):
    """Label Studio does not answer, or refuses what it is asked.

    Attributes:
        status: HTTP status of its answer; None where there was none.
    """

    kind = "label_studio"

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class RequestError(SegstudioError):
    """The caller's request cannot be served; answered with ``status``."""

    kind = "request"
    status: ClassVar[int] = 400


class LabelConfigError(RequestError):
    """The label config lacks what the model needs."""

    kind = "label_config"
    status = 422


class UnauthorizedError(RequestError):
    """Basic auth is missing or wrong."""

    kind = "unauthorized"
    status = 401


class BusyError(RequestError):
    """Not now: the model is still loading, or too many requests wait."""

    kind = "busy"
    status = 503


class TaskError(SegstudioError):
    """One task failed; its answer is an empty list and the other tasks are answered."""

    kind = "task"


class PromptError(TaskError):
    """The interactive context holds nothing that the model can work with."""

    kind = "prompt"


class DeadlineExceededError(TaskError):
    """The request's time budget was spent before this task's turn."""

    kind = "budget"


class ImageError(TaskError):
    """The task's image cannot be used."""

    kind = "image"


class ImageReferenceError(ImageError):
    """The reference in ``task.data`` is not one we can follow."""

    kind = "image_reference"


class ImageRefusedError(ImageError):
    """The reference points where we must not go."""

    kind = "image_refused"


class ImageFetchError(ImageError):
    """The image could not be fetched: not found, no access, time-out, server error."""

    kind = "image_fetch"


class ImageDecodeError(ImageError):
    """The bytes are not an image we accept: format, size or damage."""

    kind = "image_decode"
