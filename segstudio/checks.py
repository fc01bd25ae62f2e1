"""Results of checks, in the one form that all commands print."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "changed", "planned", "unknown", "note", "warning", "error"]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check.

    Attributes:
        subject: What was checked.
        status: ``changed``: it was not as wanted, and is now; ``planned``: it would be changed
            without a dry run; ``unknown``: it could not be checked, or does not matter here.
        detail: What was found.
        fix: What to do; commands are separated by line breaks; empty where nothing has to be done.
        line: Line of the file that it is about; 0 where there is none.
    """

    subject: str
    status: Status
    detail: str
    fix: str = ""
    line: int = 0
