"""The report in a real browser; ``REPORT_SCREENSHOT=path`` takes the picture of the docs."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, sync_playwright
from typer.testing import CliRunner

from segstudio.cli.main import app
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.labeled_projects import add_labeled_project


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with LabelStudioServer() as server:
        monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
        monkeypatch.chdir(tmp_path)
        project = add_labeled_project(server)
        words = ["report", "--project", str(project), "--out", "report.html"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        yield tmp_path / "report.html"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(viewport={"width": 1000, "height": 1400})
        browser.close()


def test_the_page_shows_all_parts_without_asking_anybody_and_prints(path: Path, page: Page) -> None:
    asked: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(path.as_uri())
    headings = page.get_by_role("heading").all_inner_texts()
    assert headings[1:] == [
        *("Progress", "Pace", "What the suggestions were worth", "Time saved"),
        "Images that people changed most",
    ]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert troubles == []
    for table in page.get_by_role("table").all():
        assert table.locator("caption").inner_text()
        assert table.get_by_role("rowheader").count() > 0
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    plots = page.locator("svg:not([aria-hidden=true])").all()
    assert all(plot.get_attribute("aria-label") for plot in plots), "or it is next to its number"
    if where := os.environ.get("REPORT_SCREENSHOT"):
        numbers: FloatRect = {"x": 0, "y": 0, "width": 1000, "height": 2205}
        page.screenshot(path=where, full_page=True, clip=numbers)
    assert page.pdf(format="A4")[:5] == b"%PDF-"
