"""Hook of MkDocs: adds the pages whose files are outside ``docs/``, and what is generated."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from benchmarks.plots import draw
from benchmarks.results import Result, markdown, read_results
from docgen.command_reference import command_reference
from docgen.repository_links import FILES, PAGES, ROOT, linked_files, rewrite_links, source_of
from docgen.settings_table import configuration_tables

RESULTS = ROOT / "docs" / "benchmarks" / "results.csv"
PLOT = "benchmarks/ratios.svg"


def benchmark_tables() -> str:
    """Return the plot, and a table for each day and machine, the newest first."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in read_results(RESULTS):
        groups.setdefault((result.date, result.machine), []).append(result)
    tables = [
        f"## {date}\n\n{machine}.\n\n{markdown(results)}"
        for (date, machine), results in sorted(groups.items(), reverse=True)
    ]
    return "\n\n".join([f"![Ratios of the tables below]({PLOT})", *tables])


GENERATED: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "<!-- generated: settings -->": configuration_tables,
        "<!-- generated: commands -->": command_reference,
        "<!-- generated: benchmarks -->": benchmark_tables,
    }
)
"""Mark in a page → what makes the text that takes its place."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages and files from outside ``docs/``, and the plot of the benchmarks."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for file in files.documentation_pages():
        for linked in linked_files(source_of(file.src_uri), file.content_string):
            target = f"{FILES}/{linked}"
            outside = linked not in PAGES and not linked.startswith("docs/")
            if outside and not files.get_file_from_path(target):
                files.append(File.generated(config, target, abs_src_path=str(ROOT / linked)))
    with TemporaryDirectory() as folder:
        plot = Path(folder) / "ratios.svg"
        draw(plot, [result.figure for result in read_results(RESULTS)])
        files.append(File.generated(config, PLOT, content=plot.read_text()))
    return files


def on_page_markdown(text: str, /, *, page: Page, **_others: object) -> str:
    """Put generated text in the place of its mark, and adapt the links."""
    for mark, make in GENERATED.items():
        if mark in text:
            text = text.replace(mark, make())
    return rewrite_links(page.file.src_uri, text)
