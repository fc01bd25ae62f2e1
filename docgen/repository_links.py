"""Links of Markdown files in the repository, as links between the pages of the site.

The Markdown files are read on the site and in the repository itself, so their links are paths in
the repository. Some files outside ``docs/`` are pages of the site (``PAGES``); other files that
pages link to are copied to the site as they are.
"""

import re
from collections.abc import Mapping
from os.path import relpath
from pathlib import Path, PurePosixPath
from types import MappingProxyType

ROOT = Path(__file__).parents[1]

PAGES: Mapping[str, str] = MappingProxyType(
    {
        "README.md": "index.md",
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "SECURITY.md": "security.md",
        "deploy/gcp/README.md": "install/google-cloud.md",
        "deploy/kubernetes/README.md": "install/kubernetes.md",
    }
)
"""File outside ``docs/`` → the page that it is on the site."""

FILES = "repository"
"""Folder of the site with copies of other files that pages link to."""

_SOURCES = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def source_of(page: str) -> str:
    """Return the file in the repository that a page of the site is made of."""
    return _SOURCES.get(page, f"docs/{page}")


def page_of(source: str) -> str:
    """Return the place on the site of a file in the repository."""
    if source in PAGES:
        return PAGES[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else f"{FILES}/{source}"


def linked_files(source: str, text: str) -> set[str]:
    """Return the existing files in the repository that a Markdown file links to."""
    found = {_resolve(source, link) for link in _LINK.findall(text)}
    return {path for path in found if (ROOT / path).is_file()}


def rewrite_links(page: str, text: str) -> str:
    """Return the text of a page with its links to files as links within the site.

    Links to what does not exist stay as they are, so that a strict build fails.
    """
    source, folder = source_of(page), PurePosixPath(page).parent

    def rewritten(match: re.Match[str]) -> str:
        path = _resolve(source, match[0])
        return relpath(page_of(path), folder) if (ROOT / path).is_file() else match[0]

    return _LINK.sub(rewritten, text)


def _resolve(source: str, link: str) -> str:
    """Return the path in the repository that a link of a file leads to."""
    return relpath((ROOT / source).parent / link, ROOT)
