"""What can go wrong in the command line, below the project's one tree of errors."""

from ml_backend.errors import SegstudioError


class ProcessError(SegstudioError, kind="start"):
    """A program cannot be started, does not get ready, or ends when it should not.

    Attributes:
        log_tail: The last lines that the program wrote; may be empty.
    """

    def __init__(self, message: str, hint: str = "", log_tail: str = "") -> None:
        super().__init__(message, hint)
        self.log_tail = log_tail


class PhotographsError(SegstudioError):
    """The folder of photographs cannot be used."""
