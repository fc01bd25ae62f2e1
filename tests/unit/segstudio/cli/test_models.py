from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.models import catalog
from ml_backend.models.checkpoints import CHECKPOINTS, Checkpoint
from ml_backend.models.hub import HUB_MODELS
from tests.support.command_line import Run, records
from tests.support.file_server import Fault, FileServer
from tests.support.hub_server import HubServer
from tests.unit.ml_backend.models.test_downloads import CONTENT, publish


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture
def toy(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The one model that is known, published on a server of this machine."""
    weights = publish(server)
    monkeypatch.setattr(catalog, "CHECKPOINTS", (weights,))
    return weights


def test_the_list_has_every_model_with_setting_size_hash_and_licence(run: Run) -> None:
    lines = run("models", "list").stdout.splitlines()
    for known in CHECKPOINTS:
        (line,) = [line for line in lines if line.startswith(f"{known.name} ")]
        for cell in (known.setting, "MB", known.files[-1].sha256[:8], known.licence[:20], " no "):
            assert cell in line


def test_the_list_for_programs_says_where_each_file_is_from_and_belongs(run: Run) -> None:
    found = {record["name"]: record for record in records(run("models", "list", "--json"))}
    assert list(found) == [
        *(known.name for known in CHECKPOINTS),
        *(known.name for known in HUB_MODELS),
    ]
    (file,) = found["vit_b"]["files"]
    assert file == {
        "path": "models/sam_vit_b_01ec64.pth",
        "size": 375_042_383,
        "sha256": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "url": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
    }


def test_a_pulled_model_is_in_models_dir_listed_and_right(toy: Checkpoint, run: Run) -> None:
    result = run("models", "pull", "toy")
    assert result.exit_code == 0
    assert "licence of toy: Apache-2.0" in result.stdout
    assert "SAM_MODEL=toy" in result.stdout
    folder = Path("models") / "toy-1"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert " yes " in run("models", "list").stdout
    assert run("models", "verify").stdout == "toy: intact\n"


def test_models_dir_is_taken_from_the_environment(
    toy: Checkpoint, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", "elsewhere")
    (record,) = records(run("models", "pull", "toy", "--json"))
    assert record["fetched"] == [file.path for file in toy.files]
    assert toy.check(Path("elsewhere"))


def test_a_second_pull_fetches_nothing(toy: Checkpoint, server: FileServer, run: Run) -> None:
    run("models", "pull", "toy")
    server.requests.clear()
    (record,) = records(run("models", "pull", "toy", "--json"))
    assert (record["here"], record["fetched"]) == ("yes", [])
    assert server.asked == []


def test_a_file_with_a_wrong_hash_ends_the_pull(
    toy: Checkpoint, server: FileServer, run: Run
) -> None:
    server.faults = [None, Fault(changes=True)]
    result = run("models", "pull", "toy")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "is damaged or another file" in line
    assert " in part " in run("models", "list").stdout


def test_without_a_network_the_error_says_which_file_to_place_where(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("TRUST_PROXY_ENV", "true")
    monkeypatch.setattr("ml_backend.models.downloads.PAUSES", (0.0,))
    result = run("models", "pull", "vit_b")
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: cannot fetch https://dl.fbaipublicfiles.com/")
    assert "place sam_vit_b_01ec64.pth (sha256 ec2df62732614e57411cdcf32a23ffdf" in line
    assert ") in models, from https://" in line


def test_verify_names_what_is_damaged_and_what_is_missing(toy: Checkpoint, run: Run) -> None:
    assert "there are no weights in models" in run("models", "verify").stdout
    run("models", "pull", "toy")
    weights = Path("models") / "toy-1" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    result = run("models", "verify")
    assert result.exit_code == 3
    assert "model.safetensors is damaged" in result.stderr
    weights.unlink()
    result = run("models", "verify", "toy", "--json")
    assert result.exit_code == 3
    (record,) = records(result)
    assert record["right"] is False
    assert "model.safetensors" in record["message"]


def test_an_unknown_name_is_wrong_usage_and_the_known_ones_are_told(run: Run) -> None:
    result = run("models", "pull", "sam_vit_b")
    assert result.exit_code == 2
    assert "sam2.1_large" in result.stderr


def test_models_of_the_hub_are_listed_with_size_classes_and_licence(run: Run) -> None:
    lines = run("models", "list").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("fashn ")]
    for cell in ("SEGMENTATION_MODEL", "MB", " 18 ", " no ", "at pull", "not for commercial use"):
        assert cell in line


def test_a_model_of_the_hub_is_pulled_pinned_and_verified(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer() as hub:
        hub.repositories["toys/net"] = {"config.json": b"{}", "model.safetensors": b"weights"}
        hub.cards["toys/net"] = {"license": "cc-by-nc-4.0"}
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        result = run("models", "pull", "hf:toys/net")
    assert result.exit_code == 0
    assert "licence of hf:toys/net: cc-by-nc-4.0" in result.stdout
    assert "SEGMENTATION_MODEL=hf:toys/net" in result.stdout
    assert (Path("models") / "toys--net" / "model.safetensors").read_bytes() == b"weights"
    assert run("models", "verify", "hf:toys/net").stdout == "hf:toys/net: intact\n"
    assert run("models", "verify", "fashn").exit_code == 3
