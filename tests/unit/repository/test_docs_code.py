"""Commands, options and paths that the documentation names exist."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from docgen.repository_links import PAGES
from segstudio.cli.main import COMMANDS
from tests.support.repository import ROOT

PAGES_WITH_CODE = [
    *map(ROOT.joinpath, PAGES),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "docs").rglob("*.ipynb"),
]


def code_of(page: Path) -> list[str]:
    """Lines of code blocks and inline code, without the marks."""
    text = page.read_text().replace("\\\\\\n", " ")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    cells = re.findall(r'^ *"(segstudio .*?)(?:\\n)?",?$', text, re.MULTILINE)
    return [line.strip() for line in [*"\n".join(blocks).splitlines(), *inline, *cells]]


@cache
def command(name: str) -> Any:
    (lazy,) = (each for each in COMMANDS if each.name == name)
    return lazy.load()


def unknown_words(line: str) -> list[str]:
    """Return the commands and options of a line that do not exist."""
    words = shlex.split(line.partition(" # ")[0].replace('\\"', '"'), posix=False)[1:]
    if not words or words[0].isupper() or words[0].startswith("-"):
        return []
    if words[0] not in {each.name for each in COMMANDS}:
        return words[:1]
    parsed = command(words[0])
    options = known_options(parsed)
    for word in words[1:]:
        if word in getattr(parsed, "commands", {}):
            parsed = parsed.commands[word]
            options |= known_options(parsed)
    named = {word.partition("=")[0] for word in words if word.startswith("--")}
    return sorted(named - options)


def known_options(parsed: Any) -> set[str]:
    options = {"--help"}
    for parameter in parsed.params:
        options.update(parameter.opts, parameter.secondary_opts)
    return options


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_docs_have_the_options_that_they_use(page: Path) -> None:
    for line in code_of(page):
        program, _, _ = line.partition(" ")
        if program.removeprefix(".venv/bin/") == "segstudio":
            assert unknown_words(line) == [], line


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_the_docs_name_exist(page: Path) -> None:
    folders = "tests|docs|deploy|ml_backend|segmentation_backend|sam_backend|segstudio|training"
    for code in code_of(page):
        for path in re.findall(rf"^(?:{folders})/[\w./-]+\.(?:py|md|yaml|yml|csv|tf|sh)$", code):
            assert (ROOT / path).exists(), path


def test_what_does_not_exist_would_be_noticed() -> None:
    assert unknown_words("segstudio project create --titel x") == ["--titel"]
    assert unknown_words("segstudio exprot --out x") == ["exprot"]
    assert unknown_words('segstudio project create --title "a b" --dry-run') == []
