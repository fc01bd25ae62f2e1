"""What Compose makes of the files, in every combination; nothing is started."""

import os
import re
import subprocess
from collections.abc import Mapping
from itertools import combinations

import pytest

from tests.support.repository import ROOT

OVERRIDES = ("gpu", "team", "scale")
COMBINATIONS = [chosen for size in range(4) for chosen in combinations(OVERRIDES, size)]


def config(environment: Mapping[str, str], *words: str) -> str:
    """What ``docker compose config`` has to say of files that are right: nothing."""
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["docker", "compose", *words, "config", "--quiet"],
        cwd=ROOT,
        env={**base, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def every_default(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example with every setting uncommented, but those whose default depends on the reader."""
    text = (ROOT / ".env.example").read_text()
    path = tmp_path_factory.mktemp("example") / ".env"
    commented = r"(?m)^#(?!PORT|MODEL_FALLBACK|SEGSTUDIO_VERSION)([A-Z_]+=)"
    path.write_text(re.sub(commented, r"\1", text))
    return str(path)


@pytest.mark.parametrize("variables", [os.devnull, ".env.example", "every default"])
@pytest.mark.parametrize("chosen", COMBINATIONS, ids="+".join)
def test_every_combination_is_clean(
    chosen: tuple[str, ...], variables: str, every_default: str
) -> None:
    files = ":".join(f"docker-compose.{name}yml" for name in ("", *(f"{each}." for each in chosen)))
    path = every_default if variables == "every default" else variables
    assert config({"COMPOSE_FILE": files}, "--env-file", path) == ""


@pytest.mark.parametrize("folder", ["", "frontend_templates", "./frontend_templates", str(ROOT)])
@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.ray.yml"])
def test_a_folder_of_photographs_may_be_named_in_every_way(file: str, folder: str) -> None:
    assert config({"COMPOSE_FILE": file, "IMAGES": folder}, "--env-file", os.devnull) == ""
