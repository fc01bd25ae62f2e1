"""What is in the images, and what is not."""

import json
import re
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import VERSION, make_stack
from tests.support.manifests import overlay
from tests.support.repository import ROOT
from tests.support.stack import docker

pytestmark = pytest.mark.timeout(1800)
BACKENDS = ("segmentation", "sam")
SECRET = "the-secret-of-whoever-builds"
SECRETS = ("LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS", "GOOGLE_APPLICATION_CREDENTIALS_BASE64")
LOCK = ROOT / "requirements" / "runtime.txt"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """By somebody with secrets in the environment, where ``docker compose`` finds them."""
    make_stack(**dict.fromkeys(SECRETS, SECRET)).compose("build", "--quiet", *BACKENDS)


def inspect(backend: str) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", f"segstudio-{backend}:{VERSION}"))
    return dict(found)


def test_both_images_share_all_layers_but_the_backends_own() -> None:
    first, second = (inspect(backend)["RootFS"]["Layers"] for backend in BACKENDS)
    assert len(first) == len(second)
    shared = [layer for layer, other in zip(first, second, strict=True) if layer == other]
    assert len(shared) == len(first) - 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_says_what_it_is_and_whether_it_is_ready(backend: str) -> None:
    config = inspect(backend)["Config"]
    assert config["User"] == "10001:0"
    assert config["Labels"]["org.opencontainers.image.title"] == f"segstudio-{backend}"
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert config["Healthcheck"]["Test"][-1] == "ml_backend.serving.healthcheck"


def look(backend: str, script: str) -> list[str]:
    """What a shell prints in an image, without a network."""
    words = ("--rm", "--network", "none", "--entrypoint", "sh", f"segstudio-{backend}:{VERSION}")
    return docker("run", *words, "-c", script).split()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_has_no_compiler_and_its_environment_no_installer(backend: str) -> None:
    tools = "sh cc c++ gcc g++ clang make ld as cargo go"
    there = look(backend, f"for tool in {tools}; do command -v $tool || true; done")
    assert [path.rpartition("/")[2] for path in there] == ["sh"]
    find = "import importlib.util as i; print(*[n for n in {} if i.find_spec(n)])"
    assert look(backend, f"""python -I -c "{find.format(["flask", "pip", "uv"])}" """) == ["flask"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_has_nobody_elses_code(backend: str) -> None:
    own = {
        "LICENSE",
        "frontend_templates",
        "ml_backend",
        "segstudio",
        "synthetic",
        "segmentation_backend",
        f"{backend}_backend",
    }
    assert set(look(backend, "ls -A")) == own
    if backend == "sam":
        assert set(look(backend, "ls segmentation_backend")) == {"__init__.py", "classes.py"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_builder_keeps_secret_is_not_in_an_image(backend: str) -> None:
    told = docker("history", "--no-trunc", f"segstudio-{backend}:{VERSION}") + str(inspect(backend))
    assert "VERSION=" in told, "the history tells of arguments"
    assert SECRET not in told
    names = r"-name '.env*' -o -name '.git' -o -name '.netrc' -o -name '*.key' -o -name 'id_*'"
    places = "/app /secrets /caddy /models /opt/models /cache /tmp /opt/venv/bin"
    assert look(backend, rf"find {places} -mindepth 1 \( {names} \)") == []
    assert look(backend, "find /secrets /caddy /models /cache /tmp -mindepth 1") == []
    assert look(backend, f"grep -rlsF {SECRET} /app /etc /opt/venv/bin /opt/models || true") == []


def test_baked_weights_are_linked_on_a_read_only_root_as_on_kubernetes(tmp_path: Path) -> None:
    (first,) = overlay("base").pod("sam")["spec"]["initContainers"]
    baked, weights = f"segstudio-baked:{VERSION}", "sam_vit_b_01ec64.pth"
    (tmp_path / weights).write_text("not really")
    recipe = f"FROM {first['image']}:{VERSION}\nCOPY {weights} /opt/models/\n"
    (tmp_path / "Dockerfile").write_text(recipe)
    docker("build", "--quiet", "--tag", baked, str(tmp_path))
    folders = [f"--tmpfs={each['mountPath']}:uid=10001" for each in first["volumeMounts"]]
    limits = ("--read-only", "--cap-drop=ALL", "--memory=512m", "--network=none")
    words = ("run", "--rm", "--user=10001:10001", "--env=MODELS_DIR=/models", *limits, *folders)
    script = f"{' '.join(first['command'])} && readlink /models/*"
    try:
        told = docker(*words, baked, "sh", "-c", script)
    finally:
        docker("image", "rm", baked)
    assert told.splitlines() == [
        "vit_b is in the image; licence: Apache-2.0",
        f"/opt/models/{weights}",
    ]


def test_a_wrong_setting_ends_a_container_with_one_line() -> None:
    image = f"segstudio-segmentation:{VERSION}"
    ended = subprocess.run(
        ["docker", "run", "--rm", "--env", "PORT=seventy", image],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: wrong settings: PORT: ")


def test_another_build_of_torch_comes_from_its_index_at_the_locked_version_without_cuda(
    tmp_path: Path,
) -> None:
    locked = dict(re.findall(r"^(torch|torchvision)==(\S+)", LOCK.read_text(), re.MULTILINE))
    for name, version in locked.items():
        (tmp_path / name).mkdir()
        write_wheel(tmp_path / name, name, f"{version}+cpu")
    tag = f"segstudio-torch:{VERSION}"
    with serving(tmp_path) as url:
        words = ("--network=host", "--target=torch", f"--build-arg=TORCH_INDEX_URL={url}")
        docker("build", *words, f"--tag={tag}", ".")
    found = docker("run", "--rm", "--network=none", tag, "ls", "/opt/torch").split()
    docker("image", "rm", tag)
    installed = {f"{name}-{version}+cpu.dist-info" for name, version in locked.items()}
    assert set(found) - installed == {"torch.py", "torchvision.py", "__pycache__"}


def write_wheel(folder: Path, name: str, version: str) -> None:
    """The smallest wheel that pip takes."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder over HTTP, whose listings are as good as a package index."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
