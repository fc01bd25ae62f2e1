"""Output of checks and of findings about label configs."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from rich import box
from rich.table import Table
from rich.text import Text

from segstudio.checks import CheckResult, Status
from segstudio.cli.console import Report

_MARKS: Mapping[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "changed": ("✓ new", "green"),
    "planned": ("to do", ""),
    "unknown": ("-", "dim"),
    "note": ("note:", ""),
    "warning": ("warning:", "yellow"),
    "error": ("✗", "red"),
}


def print_checks(report: Report, results: Iterable[CheckResult]) -> list[CheckResult]:
    """Print results of checks as they arrive, each group followed by its fix; return them."""
    found: list[CheckResult] = []
    for fix, group in groupby(results, key=lambda result: result.fix):
        for result in group:
            found.append(result)
            mark, style = _MARKS[result.status]
            line = f"line {result.line}: " if result.line else ""
            report.print(f"{mark} {line + result.subject:<28} {result.detail}", style)
        for line in fix.splitlines():
            report.print(f"    → {line}")
    return found


def print_check_table(report: Report, results: Iterable[CheckResult]) -> list[CheckResult]:
    """Print results of checks as a table, followed by the fix of each; return them."""
    with report.busy("Checking"):
        found = list(results)
    table = Table("", "check", "result", box=box.SIMPLE_HEAD, pad_edge=False)
    for result in found:
        table.add_row(Text(*_MARKS[result.status]), Text(result.subject), Text(result.detail))
    report.show(table)
    failed = [result for result in found if result.fix]
    if failed:
        report.print("To fix:", "bold")
    for fix, group in groupby(failed, key=lambda result: result.fix):
        subjects = ", ".join(result.subject for result in group)
        first, *further = fix.splitlines()
        report.print(f"  {subjects}: {first}")
        for line in further:
            report.print(f"    {line}")
    return found


def check_record(result: CheckResult) -> dict[str, str]:
    """Return the JSON record of a check."""
    state = "bad" if result.status == "error" else result.status
    return {"what": result.subject, "state": state, "told": result.detail, "fix": result.fix}


def finding_record(result: CheckResult) -> dict[str, str | int]:
    """Return the JSON record of a finding about a label config."""
    return {
        "level": result.status,
        "line": result.line,
        "where": result.subject,
        "problem": result.detail,
        "fix": result.fix,
    }
