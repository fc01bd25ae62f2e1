"""Every setting stands in .env.example and in the README's table, as the code has it.

``UPDATE_DOCS=1 pytest tests/unit/repository/test_docs.py`` writes both anew.
"""

import os
import re
import tempfile

import pytest
from pydantic_settings import BaseSettings

from ml_backend.serving.settings import BackendSettings
from sam_backend.settings import SamSettings
from segmentation_backend.settings import SegmentationSettings
from segstudio.settings import PlaceSettings, UpSettings
from tests.support.compose_settings import ComposeSettings
from tests.support.repository import ROOT

SECTIONS: dict[str, type[BaseSettings]] = {
    "make up, docker compose": PlaceSettings,
    "make up": UpSettings,
    "docker compose": ComposeSettings,
    "both backends": BackendSettings,
    "segmentation backend": SegmentationSettings,
    "sam backend": SamSettings,
}

VARYING = {"PORT", "MODEL_FALLBACK", "SEGSTUDIO_VERSION"}
"""Whose default depends on what reads it: a copy of the example must not set it."""


def settings() -> list[tuple[str, str, str, str]]:
    """Section, variable, default and help; what several sections share stands once."""
    rows: dict[str, tuple[str, str, str, str]] = {}
    for section, kind in SECTIONS.items():
        for name, field in kind.model_fields.items():
            row = (section, name.upper(), _text(field.default), str(field.description))
            rows.setdefault(name, row)
    return list(rows.values())


def _text(default: object) -> str:
    if default is None or default == ():
        return ""
    return str(default).replace(tempfile.gettempdir(), "/tmp")


def table() -> str:
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {text} | {section} |"
        for section, name, default, text in settings()
    ]
    return "\n".join(["| variable | default | what it is | read by |", "|---|---|---|---|", *rows])


def env_example() -> str:
    lines = [
        "# Every setting with its default; copy this file to .env. Empty variables count as unset.",
        "# PORT is set for each backend by `make up`; a backend started alone reads it itself:",
        "# 7070 for the segmentation backend, 9090 for the sam backend.",
    ]
    section = ""
    for row_section, name, default, text in settings():
        if row_section != section:
            section = row_section
            lines += ["", f"# --- {section} ---"]
        lines += [f"# {text}", f"# {name}={default}" if name in VARYING else f"{name}={default}"]
    return "\n".join(lines) + "\n"


def readme() -> str:
    text = (ROOT / "README.md").read_text()
    pattern = r"(?<=<!-- settings -->\n).*(?=<!-- /settings -->)"
    return re.sub(pattern, lambda _: f"\n{table()}\n\n", text, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("name", "expected"), [("README.md", readme), (".env.example", env_example)]
)
def test_every_setting_is_documented(name: str, expected: object) -> None:
    assert callable(expected)
    if os.environ.get("UPDATE_DOCS"):
        (ROOT / name).write_text(expected())
    assert (ROOT / name).read_text() == expected(), (
        "run: UPDATE_DOCS=1 pytest tests/unit/repository/test_docs.py"
    )


def test_every_setting_has_a_line_of_help() -> None:
    assert all(text.strip() and text != "None" for *_, text in settings())


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?\bmake ([a-z-]+)`", (ROOT / "README.md").read_text()):
        assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", makefile, re.MULTILINE), target


def module_map() -> dict[str, str]:
    """Folder to its entry in the module map of docs/design.md."""
    block = (ROOT / "docs" / "design.md").read_text().split("```")[1]
    entries: dict[str, str] = {}
    package = folder = ""
    for line in block.splitlines():
        name, text = line[:30].strip(), line[30:]
        if name and not line.startswith(" "):
            package = folder = name
        elif name:
            folder = package + name.replace("(top)", "")
        entries[folder] = f"{entries.get(folder, '')} {text}"
    return entries


@pytest.mark.parametrize(
    "package", ["ml_backend", "segmentation_backend", "sam_backend", "segstudio"]
)
def test_every_module_is_in_the_module_map(package: str) -> None:
    entries = module_map()
    for path in (ROOT / package).rglob("*.py"):
        folder = f"{path.parent.relative_to(ROOT)}/"
        words = re.findall(r"\w+", entries[folder])
        assert path.stem.startswith("__") or path.stem in words, path
