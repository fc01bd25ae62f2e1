"""Code blocks of the documentation, run: the cells of the notebook, the commands of the page."""

import csv
import os
import re
import shlex
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

from synthetic.people import Figure
from tests.support.command_line import Run
from tests.support.gcs_server import GcsServer
from tests.support.repository import ROOT
from tests.support.studio import SEGSTUDIO, Studio

pytestmark = pytest.mark.timeout(900)

NOTEBOOK = ROOT / "docs" / "notebooks" / "annotate_from_gcs.ipynb"
NAMES = ("Look 1", "Look 2", "Look 3")


@pytest.fixture
def posts(tmp_path: Path, figure: Figure) -> Path:
    """What a reader of the notebook has: a folder of photographs and a CSV file."""
    with (tmp_path / "posts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Name", "Theme", "path"])
        for name in NAMES:
            Image.fromarray(figure.image).save(tmp_path / f"{name}.jpg")
            rows.writerow([name, "Autumn", f"{name}.jpg"])
    return tmp_path


def test_the_notebook_makes_a_project_of_a_folder_and_its_table(
    run: Run, studio: Studio, cloud: GcsServer, posts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.state.token)
    monkeypatch.setenv("PATH", f"{SEGSTUDIO.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(posts)}})
    client.execute()

    assert {f"looks/{name}.jpg" for name in NAMES} <= set(cloud.content("photos"))
    with studio.api() as api:
        for n in (1, 2):
            (project,) = api.projects(f"Runway looks #{n}")
            assert project.tasks == len(NAMES)
            assert len(api.connections(project.id)) == 2
    outputs = [out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ())]
    assert any("checks passed" in text for text in outputs), outputs


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_the_commands_of_the_projects_page_run_as_they_stand(
    run: Run, studio: Studio, posts: Path
) -> None:
    text = (ROOT / "docs" / "projects.md").read_text()
    (block,) = re.findall(r"<!-- run -->\n\n```\n(.*)```\n\n<!-- /run -->", text, re.DOTALL)
    project = None
    for line in block.replace("http://localhost:8080", studio.url).splitlines():
        program, *words = shlex.split(line)
        if "--project" in words:
            with studio.api() as api:
                project = next(api.projects("Runway 2004 #1"))
            words[words.index("--project") + 1] = str(project.id)
        result = run(*words)
        assert (program, result.exit_code) == ("segstudio", 0), f"{line}\n{result.output}"
    assert project is not None
    assert project.tasks == 2
