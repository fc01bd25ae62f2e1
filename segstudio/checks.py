"""Results of checks, in the form that all commands print."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "changed", "planned", "unknown", "note", "warning", "error"]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check.

    Attributes:
        subject: Name of what was checked.
        status: Outcome. ``changed``: it was wrong and has been fixed; ``planned``: it would be
            fixed without a dry run; ``unknown``: it could not be checked, or does not matter.
        detail: Human-readable finding.
        fix: Suggested fix, with commands separated by line breaks; empty if none is needed.
        line: Line in the checked file; 0 without one.
    """

    subject: str
    status: Status
    detail: str
    fix: str = ""
    line: int = 0
