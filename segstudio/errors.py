"""Errors of the command line, part of the tree in ``ml_backend.errors``."""

from ml_backend.errors import SegstudioError


class ProcessError(SegstudioError, kind="start"):
    """A program cannot be started, is not ready in time, or exits unexpectedly.

    Attributes:
        log_tail: Last lines of the program's output; may be empty.
    """

    def __init__(self, message: str, hint: str = "", log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail


class PhotographsError(SegstudioError):
    """The folder of photographs is unusable."""
