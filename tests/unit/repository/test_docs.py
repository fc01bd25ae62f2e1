"""The documentation is true to the code: settings, links, commands and the module map.

``UPDATE_DOCS=1 pytest tests/unit/repository/test_docs.py`` writes ``.env.example`` again.
"""

import os
import re
from pathlib import Path

import pytest

from docgen.command_reference import command_reference
from docgen.repository_links import PAGES, rewrite_links
from docgen.settings_table import all_settings, configuration_tables, env_example
from segstudio.cli.main import COMMANDS
from tests.support.repository import ROOT

MARKDOWN = [*map(ROOT.joinpath, PAGES), *(ROOT / "docs").rglob("*.md")]


def test_the_example_has_every_setting_with_its_default() -> None:
    path = ROOT / ".env.example"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(env_example())
    assert path.read_text() == env_example(), (
        "run: UPDATE_DOCS=1 pytest tests/unit/repository/test_docs.py"
    )


def test_the_example_sets_six_variables_and_lists_every_other_one_as_a_comment() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    active = [line for line in lines if line and not line.startswith("#")]
    assert len(active) == 6
    assert active == lines[3:20:3], "they come first, each below its help"
    commented = [line[1:] for line in lines if re.match(r"#[A-Z_]+=", line)]
    expected = [f"{setting.name}={setting.default}" for setting in all_settings()]
    assert sorted([*active, *commented]) == sorted(expected)


def test_the_configuration_page_has_every_setting_with_default_and_help() -> None:
    tables = configuration_tables()
    for setting in all_settings():
        default = f"`{setting.default}`" if setting.default else ""
        assert f"| `{setting.name}` | {default} | {setting.text} |" in tables
    assert "<!-- generated: settings -->" in (ROOT / "docs" / "configuration.md").read_text()


def test_every_setting_has_a_line_of_help() -> None:
    texts = [setting.text.strip() for setting in all_settings()]
    assert len(texts) > 60
    assert all(text and text != "None" for text in texts)


def test_the_command_reference_has_every_command() -> None:
    text = command_reference()
    for command in COMMANDS:
        assert (f"## `segstudio {command.name}`" in text) is not command.hidden
    assert "### `segstudio project create`" in text
    assert "<!-- generated: commands -->" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_links_between_files_become_links_between_pages() -> None:
    text = "[a](docs/labeling.md#keys) [b](deploy/gcp/README.md) [c](NOTICE) [d](https://x.org)"
    assert rewrite_links("index.md", text) == (
        "[a](labeling.md#keys) [b](install/google-cloud.md) [c](repository/NOTICE) [d](https://x.org)"
    )
    text = "[a](../../SECURITY.md) [b](#what-to-know) [c](../../docs/missing.md)"
    assert rewrite_links("install/kubernetes.md", text) == (
        "[a](../security.md) [b](#what-to-know) [c](../../docs/missing.md)"
    )


def test_every_make_target_that_the_docs_name_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = "\n".join(page.read_text() for page in MARKDOWN)
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    targets = set(re.findall(r"^[` ]*make ([a-z][a-z-]+)", code, re.MULTILINE))
    assert {"up", "docs", "bench"} <= targets
    for target in targets:
        assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", makefile, re.MULTILINE), target


def module_map() -> dict[str, str]:
    """Return the entry of each folder in the module map of docs/design.md."""
    section = (ROOT / "docs" / "design.md").read_text().split("## Repository layout")[1]
    block = section.split("```")[1]
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
    "package", ["ml_backend", "segmentation_backend", "sam_backend", "segstudio", "docgen"]
)
def test_every_module_is_in_the_module_map(package: str) -> None:
    entries = module_map()
    for path in (ROOT / package).rglob("*.py"):
        folder = f"{path.parent.relative_to(ROOT)}/"
        words = re.findall(r"\w+", entries[folder])
        assert path.stem.startswith("__") or path.stem in words, path
