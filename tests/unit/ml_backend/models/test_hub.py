"""Models of the hub: looked up, pinned, pulled, and what goes wrong."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import Checkpoint
from ml_backend.models.downloads import obtain
from ml_backend.models.hub import (
    HubModel,
    authorization,
    checked_name,
    forbids_commercial_use,
    pin,
    pinned,
)
from ml_backend.serving.settings import BackendSettings
from tests.support.hub_server import COMMIT, HubServer

MODEL = HubModel.parse("hf:toys/net", "SEGMENTATION_MODEL")
FILES = {
    "README.md": b"# toy",
    "config.json": b'{"model_type": "toy"}',
    "preprocessor_config.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"pickle",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories["toys/net"] = dict(FILES)
        running.cards["toys/net"] = {"license": "mit"}
        yield running


def settings(hub: HubServer, token: str | None = None) -> BackendSettings:
    secret = None if token is None else SecretStr(token)
    return BackendSettings(hf_endpoint=hub.url, hf_token=secret)


def pull(
    hub: HubServer, folder: Path, model: HubModel = MODEL, token: str | None = None
) -> Checkpoint:
    reached = settings(hub, token)
    checkpoint = pin(model, folder, reached)
    assert obtain(checkpoint, folder, headers=authorization(reached))
    return checkpoint


def test_the_first_pull_pins_commit_and_sha256_of_what_is_loaded(
    hub: HubServer, tmp_path: Path
) -> None:
    checkpoint = pull(hub, tmp_path)
    assert checkpoint.check(tmp_path) == tmp_path / "toys--net"
    assert sorted(path.name for path in (tmp_path / "toys--net").iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    entry = json.loads((tmp_path / "models.lock").read_text())["hf:toys/net"]
    assert (entry["commit"], entry["licence"], len(entry["files"])) == (COMMIT, "mit", 3)
    assert checkpoint.version.startswith("toys-net-")


def test_a_pinned_model_is_not_looked_up_again_whatever_the_hub_has_now(
    hub: HubServer, tmp_path: Path
) -> None:
    before = pull(hub, tmp_path)
    hub.commit = "f" * 40
    hub.repositories["toys/net"]["model.safetensors"] = b"other weights"
    hub.requests.clear()
    assert pull(hub, tmp_path) == before == pinned(MODEL, tmp_path)
    assert not hub.requests


def test_a_file_that_changed_on_disk_is_refused(hub: HubServer, tmp_path: Path) -> None:
    checkpoint = pull(hub, tmp_path)
    (tmp_path / "toys--net" / "model.safetensors").write_bytes(b"WEIGHTS")
    with pytest.raises(ModelError, match="damaged or another file"):
        checkpoint.check(tmp_path)


def test_an_unknown_model_or_revision_is_named(hub: HubServer, tmp_path: Path) -> None:
    for name in ("hf:toys/none", "hf:toys/net@v9"):
        with pytest.raises(ModelError, match=r"no public model toys/n"):
            pull(hub, tmp_path, HubModel.parse(name, "SEGMENTATION_MODEL"))
    assert not (tmp_path / "models.lock").exists()


def test_a_gated_model_says_where_to_accept_and_takes_a_token(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.gated.add("toys/net")
    with pytest.raises(ModelError, match="is gated") as caught:
        pull(hub, tmp_path)
    assert f"accept the terms at {hub.url}/toys/net, then set HF_TOKEN" in caught.value.hint
    assert pull(hub, tmp_path, token="good").licence == "mit"


def test_weights_that_are_only_a_pickle_are_refused(hub: HubServer, tmp_path: Path) -> None:
    del hub.repositories["toys/net"]["model.safetensors"]
    with pytest.raises(ModelError, match=r"only as a pickle \(pytorch_model\.bin\)"):
        pull(hub, tmp_path)


def test_a_repository_without_a_config_is_no_model(hub: HubServer, tmp_path: Path) -> None:
    del hub.repositories["toys/net"]["config.json"]
    with pytest.raises(ModelError, match=r"no config\.json"):
        pull(hub, tmp_path)


def test_without_a_network_the_message_says_which_files_go_where(tmp_path: Path) -> None:
    offline = BackendSettings(hf_endpoint="http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot reach") as caught:
        pin(MODEL, tmp_path, offline)
    assert f"model.safetensors in {tmp_path / 'toys--net'}" in caught.value.hint


def test_files_placed_by_hand_are_pinned_without_a_network(tmp_path: Path) -> None:
    folder = tmp_path / "toys--net"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    offline = BackendSettings(hf_endpoint="http://127.0.0.1:9")
    checkpoint = pin(MODEL, tmp_path, offline)
    assert checkpoint.check(tmp_path) == folder
    assert pinned(MODEL, tmp_path) == checkpoint


def test_half_a_download_is_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    checkpoint = pin(MODEL, tmp_path, settings(hub))
    (tmp_path / "toys--net").mkdir()
    (tmp_path / "toys--net" / "config.json").write_bytes(FILES["config.json"])
    assert obtain(checkpoint, tmp_path)
    assert checkpoint.check(tmp_path)


@pytest.mark.parametrize(
    "text", ["hf:name", "hf:../../etc/x", "hf:a/b@", "a/b", "hf:a/..", "hf:a/b c"]
)
def test_what_names_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="names no model"):
        HubModel.parse(text, "SEGMENTATION_MODEL")


def test_a_setting_names_a_known_model_a_repository_or_a_folder() -> None:
    for name in ("auto", "toy", "hf:a/b", "hf:a/b@v1", "./folder", "/models/mine"):
        assert checked_name(name, ("auto",), [HubModel("toy", "SAM_MODEL", "toys/net")]) == name
    with pytest.raises(ValueError, match="it must be one of auto"):
        checked_name("segformr", ("auto",), ())


@pytest.mark.parametrize(
    ("licence", "forbids"),
    [
        ("cc-by-nc-4.0", True),
        ("NVIDIA Source Code License for SegFormer (not for commercial use)", True),
        ("Non-Commercial", True),
        ("apache-2.0", False),
        ("openrail-incident", False),
    ],
)
def test_licences_that_forbid_commercial_use_are_known(licence: str, forbids: bool) -> None:
    assert forbids_commercial_use(licence) == forbids
