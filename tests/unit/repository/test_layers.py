"""Imports point one way, as docs/design.md draws it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT

MAY_IMPORT = {
    "ml_backend": set[str](),
    "segmentation_backend": {"ml_backend"},
    "sam_backend": {"ml_backend"},
    "segstudio": {"ml_backend", "synthetic"},
    "synthetic": set[str](),
    "training": {"ml_backend", "segmentation_backend", "sam_backend", "segstudio", "synthetic"},
}


BULK_WORKER = ROOT / "segstudio" / "predict" / "stages.py"
"""Runs the backends' own stages on Ray's workers; imports them inside functions only."""


def imported(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & set(MAY_IMPORT) - {package}
        more = {"segmentation_backend", "sam_backend"} if path == BULK_WORKER else set()
        assert ours <= MAY_IMPORT[package] | more, path


def test_bulk_imports_the_backend_only_where_it_runs() -> None:
    names = "{'segmentation_backend', 'sam_backend'} & {*sys.modules}"
    script = f"import sys, segstudio.predict.stages; print({names})"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"
