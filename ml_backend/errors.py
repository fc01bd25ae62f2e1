"""Tree of all expected errors.

Every error has a message that says what happened and, in ``hint``, what the reader can do::

    SegstudioError
    ├── SettingsError                 a setting is missing or wrong; the program does not start
    │   └── CredentialsError          GOOGLE_APPLICATION_CREDENTIALS_BASE64: which step failed
    ├── ModelError                    weights missing, damaged, or not what their name says
    ├── LabelStudioError              Label Studio does not respond, or refuses a request
    ├── RequestError                  the request cannot be served (HTTP status in ``status``)
    │   ├── LabelConfigError          the label config does not fit the model
    │   ├── UnauthorizedError         basic auth missing or wrong
    │   └── BusyError                 the model is still loading, or the queue is full
    └── TaskError                     one task failed; the others are predicted
        ├── PromptError               the labeler's context contains no usable prompt
        ├── DeadlineExceededError     the request's time budget was spent before this task
        └── ImageError                the task's image
            ├── ImageReferenceError   unsupported reference (scheme, empty, malformed)
            ├── ImageRefusedError     an address or path that must not be fetched
            ├── ImageFetchError       not found, no access, time-out, server error
            └── ImageDecodeError      fetched, but not usable (format, size, damage)

The command line's own errors (``segstudio``) are subclasses of ``SegstudioError``, next to their
use.
"""

import re
from typing import ClassVar


class SegstudioError(Exception):
    """Base class of all expected errors.

    Attributes:
        kind: Name in JSON responses, logs and metrics: the class name in snake case without
            "Error", unless the class is defined with another ``kind=``.
        message: Human-readable description of the failure.
        hint: Suggested fix; may be empty.
    """

    kind: ClassVar[str] = "error"

    def __init_subclass__(cls, kind: str = "") -> None:
        super().__init_subclass__()
        words = re.findall("[A-Z][a-z]*", cls.__name__.removesuffix("Error"))
        cls.kind = kind or "_".join(words).lower()

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(SegstudioError):
    """A setting is missing or wrong."""


class CredentialsError(SettingsError):
    """The service-account credentials cannot be used; names the step, never the secret."""


class ModelError(SegstudioError):
    """Model weights are missing, damaged, or not what their name says."""


class LabelStudioError(SegstudioError):
    """Label Studio does not respond, or refuses a request.

    Attributes:
        status: HTTP status of the response; None without a response.
    """

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class RequestError(SegstudioError):
    """The caller's request cannot be served; answered with ``status``."""

    status: ClassVar[int] = 400


class LabelConfigError(RequestError):
    """The label config does not fit the model."""

    status = 422


class UnauthorizedError(RequestError):
    """Basic auth is missing or wrong."""

    status = 401


class BusyError(RequestError):
    """The model is still loading, or too many requests are waiting."""

    status = 503


class TaskError(SegstudioError):
    """One task failed; its result is an empty list, and the other tasks are predicted."""


class PromptError(TaskError):
    """The interactive context contains no prompt that the model can use."""


class DeadlineExceededError(TaskError, kind="budget"):
    """The request's time budget was spent before this task's turn."""


class ImageError(TaskError):
    """The task's image cannot be used."""


class ImageReferenceError(ImageError):
    """The reference in ``task.data`` is of no supported kind."""


class ImageRefusedError(ImageError):
    """The reference points to a forbidden address or path."""


class ImageFetchError(ImageError):
    """The image could not be fetched: not found, no access, time-out, server error."""


class ImageDecodeError(ImageError):
    """The image has an unsupported format, is too large, or is damaged."""
