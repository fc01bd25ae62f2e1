"""The wheel in an environment of its own, with what the command line needs and nothing else."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend import __version__
from tests.support.label_studio_server import TOKEN, LabelStudioServer
from tests.support.repository import ROOT

UV = Path(sys.executable).with_name("uv")


@pytest.fixture
def label_studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server


def uv(*arguments: str | Path) -> None:
    subprocess.run([UV, "--quiet", *arguments], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of programs of an environment with the wheel and the client's locked packages."""
    folder = tmp_path_factory.mktemp("environment")
    uv("venv", "--clear", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    lock = ROOT / "requirements" / "client.txt"
    uv("pip", "install", "--python", python, "--require-hashes", "-r", lock)
    uv("pip", "install", "--python", python, "--no-deps", "--offline", wheel)
    return folder / "bin"


def run(
    environment: Path, folder: Path, *words: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in a folder outside the checkout."""
    return subprocess.run(
        [environment / words[0], *words[1:]],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_packages_types_weights_and_templates_and_nothing_else(
    wheel: Path,
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.partition("/")[0] for name in names}
    packages = {"ml_backend", "segmentation_backend", "sam_backend", "segstudio", "synthetic"}
    assert folders == {*packages, f"segstudio-{__version__}.dist-info"}
    assert {name.partition("/")[0] for name in names if name.endswith("/py.typed")} == packages
    weights = {name for name in names if name.endswith(".safetensors")}
    assert {name.partition("/")[0] for name in weights} == {"segmentation_backend", "sam_backend"}
    shipped = {Path(name).name for name in names if name.startswith("segstudio/frontend_templates")}
    assert shipped == {path.name for path in (ROOT / "frontend_templates").iterdir()}


def test_the_version_is_printed(environment: Path, tmp_path: Path) -> None:
    assert run(environment, tmp_path, "segstudio", "--version").stdout == (
        f"segstudio {__version__}\n"
    )


def test_a_shipped_label_config_is_linted(environment: Path, tmp_path: Path) -> None:
    result = run(environment, tmp_path, "segstudio", "lint", "runway_fashion")
    assert (result.returncode, result.stderr) == (0, "")
    assert "no problems with both backends" in result.stdout


def test_a_project_is_planned(
    environment: Path, tmp_path: Path, label_studio: LabelStudioServer
) -> None:
    (tmp_path / "looks.csv").write_text("identifier,image\n1,http://example.org/1.jpg\n")
    options = ("--template", "runway_fashion", "--title", "Looks", "--tasks", "looks.csv")
    result = run(
        environment,
        tmp_path,
        *("segstudio", "project", "create", *options, "--dry-run"),
        LABEL_STUDIO_URL=label_studio.url,
        LABEL_STUDIO_API_KEY=TOKEN,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "would be" in result.stdout
    assert {request.method for request in label_studio.requests} == {"GET"}


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("segstudio", "agreement", "--project", "1", "--out", "out"), "analysis"),
        (
            ("segstudio", "export", "--project", "1", "--format", "csv", "--out", "a.csv"),
            "analysis",
        ),
        (("segstudio", "predict", ".", "--out", "out"), "bulk"),
        (("segstudio", "up"), "server"),
        (("python", "-m", "segmentation_backend"), "server"),
        (("python", "-m", "sam_backend"), "server"),
    ],
)
def test_what_needs_an_extra_names_it_in_one_line(
    words: tuple[str, ...], extra: str, environment: Path, tmp_path: Path
) -> None:
    result = run(environment, tmp_path, *words)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"needs the extra {extra} (pip install 'segstudio[{extra}]'" in line


def test_ray_can_be_installed_from_its_lock_beside_what_serves() -> None:
    install = f"INSTALL={UV} pip install --dry-run --require-hashes"
    done = subprocess.run(
        ["make", "bulk", install], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
