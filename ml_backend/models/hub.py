"""Models of the Hugging Face hub: files of a repository, pinned in ``MODELS_DIR``.

The first pull writes the commit and the SHA-256 of every file to ``models.lock`` in ``MODELS_DIR``.
After that, changes of the repository do not change predictions: every start compares the files with
the lock.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from ml_backend.errors import ModelError
from ml_backend.http_clients import http_client
from ml_backend.models.checkpoints import Checkpoint, CheckpointFile
from ml_backend.models.downloads import TIMEOUT, folder_lock
from ml_backend.serving.settings import HubSettings

LOCK: Final = "models.lock"
MOST_BYTES: Final = 64 << 20
"""Maximum bytes of a file without a SHA-256 on the hub: configs and vocabularies."""

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_OTHER_FILES = re.compile(
    r"((preprocessor_|processor_)?config|tokenizer(_config)?|special_tokens_map|vocab"
    r"|model\.safetensors\.index)\.json|merges\.txt"
)
_PICKLE = re.compile(r".*\.(bin|pth?|ckpt|pkl)")
_NAME = re.compile(r"hf:(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w][\w./-]*))?")
_NOT_COMMERCIAL = re.compile(
    r"non-?\s?commercial|not for commercial|\bnc\b|nvidia source code", re.IGNORECASE
)


@dataclass(frozen=True)
class HubModel:
    """A model identified by its repository.

    Attributes:
        name: Model name, as in ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        setting: Name of that setting.
        repository: Repository on the hub, ``owner/name``.
        revision: Branch, tag or commit that the first pull uses.
        licence: Licence of the weights; empty until the first pull if not known.
        megabytes: Approximate size of the weights in MB; 0 if not known.
        classes: Number of classes; 0 if not known, or the model names none.
    """

    name: str
    setting: str
    repository: str
    revision: str = "main"
    licence: str = ""
    megabytes: int = 0
    classes: int = 0

    @classmethod
    def parse(cls, text: str, setting: str) -> "HubModel":
        """Parse ``hf:OWNER/NAME[@REVISION]``.

        Raises:
            ModelError: The text has another form.
        """
        match = _NAME.fullmatch(text)
        if match is None or ".." in text:
            raise ModelError(
                f"{text!r:.120} names no model", "write hf:OWNER/NAME or hf:OWNER/NAME@REVISION"
            )
        return cls(text, setting, match["repository"], match["revision"] or "main")

    @property
    def folder(self) -> str:
        """Folder of the files below ``MODELS_DIR``."""
        return self.repository.replace("/", "--")


_SAM3: Final = HubModel(
    "sam3",
    "SEGMENTATION_MODEL or SAM_MODEL",
    "facebook/sam3",
    licence="SAM License",
    megabytes=3440,
)
SEGMENTATION_HUB_MODELS: Final = (
    HubModel(
        "segformer-fashion",
        "SEGMENTATION_MODEL",
        "sayeed99/segformer-b3-fashion",
        licence="NVIDIA Source Code License for SegFormer (not for commercial use)",
        megabytes=189,
        classes=47,
    ),
    HubModel(
        "fashn",
        "SEGMENTATION_MODEL",
        "fashn-ai/fashn-human-parser",
        licence="NVIDIA Source Code License for SegFormer (not for commercial use)",
        megabytes=256,
        classes=18,
    ),
    _SAM3,
)
"""Short names of segmentation models."""

SAM_HUB_MODELS: Final = (
    _SAM3,
    HubModel("edgetam", "SAM_MODEL", "yonigozlan/EdgeTAM-hf", licence="Apache-2.0", megabytes=56),
    HubModel(
        "sam_hq_vit_h",
        "SAM_MODEL",
        "syscv-community/sam-hq-vit-huge",
        licence="Apache-2.0",
        megabytes=2570,
    ),
    HubModel(
        "sam_hq_vit_l",
        "SAM_MODEL",
        "syscv-community/sam-hq-vit-large",
        licence="Apache-2.0",
        megabytes=1250,
    ),
    HubModel(
        "sam_hq_vit_b",
        "SAM_MODEL",
        "syscv-community/sam-hq-vit-base",
        licence="Apache-2.0",
        megabytes=380,
    ),
)
"""Short names of interactive models."""

HUB_MODELS: Final = tuple(dict.fromkeys((*SEGMENTATION_HUB_MODELS, *SAM_HUB_MODELS)))


def checked_name(name: str, own: Iterable[str], hub: Iterable[HubModel]) -> str:
    """Return a setting's value if it can name a model.

    Args:
        name: Value of ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        own: Names of models that are not on the hub.
        hub: Models of the hub that have a short name.

    Raises:
        ValueError: The value is not a model name, ``hf:OWNER/NAME`` or a folder.
    """
    names = (*own, *(model.name for model in hub))
    if name not in names and not _NAME.fullmatch(name) and "/" not in name:
        known = ", ".join(names)
        raise ValueError(f"it must be one of {known}, hf:OWNER/NAME[@REVISION] or a folder")
    return name


def forbids_commercial_use(licence: str) -> bool:
    """Return whether a licence's name says that commercial use is forbidden."""
    return _NOT_COMMERCIAL.search(licence) is not None


def pinned(model: HubModel, models_dir: Path) -> Checkpoint | None:
    """Return the files of a model from ``models.lock``; None if it was never pulled.

    Raises:
        ModelError: The lock cannot be read.
    """
    entry = _read_lock(models_dir).get(_key(model))
    if entry is None:
        return None
    files = tuple(CheckpointFile(model.name, **file) for file in entry["files"])
    return Checkpoint(_slug(model), model.setting, entry["licence"], files)


def pin(model: HubModel, models_dir: Path, hub: HubSettings) -> Checkpoint:
    """Return the pinned files of a model; look them up and pin them on the first call.

    Files placed by hand in the model's folder are pinned as they are.

    Raises:
        ModelError: The hub is unreachable, or has no such model that can be loaded safely.
    """
    if found := pinned(model, models_dir):
        return found
    commit, licence, files = _placed_by_hand(model, models_dir) or _look_up(model, models_dir, hub)
    entry = {"commit": commit, "licence": licence, "files": [_row(file) for file in files]}
    try:
        with folder_lock(models_dir):
            lock = {**_read_lock(models_dir), _key(model): entry}
            partial = models_dir / f".{LOCK}.partial"
            partial.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n")
            partial.replace(models_dir / LOCK)
    except OSError as error:
        raise ModelError(
            f"cannot write {models_dir / LOCK}: {error.strerror}", "choose another MODELS_DIR"
        ) from error
    return Checkpoint(_slug(model), model.setting, licence, tuple(files))


def authorization(hub: HubSettings) -> dict[str, str]:
    """Return the request headers for the hub."""
    return {"Authorization": f"Bearer {hub.hf_token.get_secret_value()}"} if hub.hf_token else {}


def _key(model: HubModel) -> str:
    return f"hf:{model.repository}" + ("" if model.revision == "main" else f"@{model.revision}")


def _slug(model: HubModel) -> str:
    """Return the name used in model versions: letters, digits, dots and hyphens."""
    return re.sub(r"[^\w.-]+", "-", model.name.removeprefix("hf:"))


def _row(file: CheckpointFile) -> dict[str, Any]:
    row = asdict(file)
    del row["model"]
    return row


def _read_lock(models_dir: Path) -> dict[str, Any]:
    path = models_dir / LOCK
    try:
        lock: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read: {error}", "delete it; the next pull creates it again"
        ) from error
    return lock


def _placed_by_hand(
    model: HubModel, models_dir: Path
) -> tuple[str, str, list[CheckpointFile]] | None:
    folder = models_dir / model.folder
    names = [path.name for path in sorted(folder.glob("*")) if path.is_file()]
    if "config.json" not in names or not any(map(_WEIGHTS.fullmatch, names)):
        return None
    files = []
    for name in _chosen(names):
        with (folder / name).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = (folder / name).stat().st_size
        files.append(
            CheckpointFile(
                model.name, f"{model.folder}/{name}", size, sha256, "a file placed by hand"
            )
        )
    return "", model.licence or "unknown", files


def _chosen(names: Iterable[str]) -> list[str]:
    """Return the files that a model is loaded from, the weights last."""
    other = sorted(name for name in names if _OTHER_FILES.fullmatch(name))
    weights = sorted(name for name in names if _WEIGHTS.fullmatch(name))
    whole = [name for name in weights if name == "model.safetensors"]
    return other + (whole or weights)


def _look_up(
    model: HubModel, models_dir: Path, hub: HubSettings
) -> tuple[str, str, list[CheckpointFile]]:
    """Look up commit, licence and files on the hub."""
    with http_client(timeout=TIMEOUT, follow_redirects=True, headers=authorization(hub)) as client:
        try:
            path = f"api/models/{model.repository}/revision/{model.revision}"
            told = _get(client, f"{hub.hf_endpoint}/{path}", model, hub, params={"blobs": "true"})
            try:
                record = told.json()
                commit = str(record["sha"])
                siblings = {str(each["rfilename"]): each for each in record["siblings"]}
            except (ValueError, KeyError, TypeError) as error:
                raise ModelError(
                    f"{hub.hf_endpoint} did not return what the Hugging Face hub does: {error!r}"
                ) from error
            names = _chosen(siblings)
            _check_files(model, siblings, names)
            files = [_published(client, model, commit, siblings[name], hub) for name in names]
        except httpx.TransportError as error:
            raise _offline(model, models_dir, hub, error) from error
    return commit, model.licence or _licence(record), files


def _check_files(model: HubModel, siblings: Iterable[str], names: Iterable[str]) -> None:
    if "config.json" not in names:
        raise ModelError(
            f"{model.repository} is not a transformers model: it has no config.json",
            "choose a repository with config.json and model.safetensors",
        )
    if not any(map(_WEIGHTS.fullmatch, names)):
        pickle = next(filter(_PICKLE.fullmatch, siblings), None)
        held = (
            f"only as a pickle ({pickle}), which can run code when it is read"
            if pickle
            else "not at all"
        )
        raise ModelError(
            f"{model.repository} has its weights {held}",
            "choose a repository, or a revision, with model.safetensors",
        )


def _published(
    client: httpx.Client, model: HubModel, commit: str, sibling: Mapping[str, Any], hub: HubSettings
) -> CheckpointFile:
    name = str(sibling["rfilename"])
    url = f"{hub.hf_endpoint}/{model.repository}/resolve/{commit}/{name}"
    path = f"{model.folder}/{name}"
    if lfs := sibling.get("lfs"):
        return CheckpointFile(model.name, path, int(lfs["size"]), str(lfs["sha256"]), url)
    if int(sibling.get("size") or 0) > MOST_BYTES:
        raise ModelError(f"{model.repository}: {name} is too large for a text file")
    content = _get(client, url, model, hub).content
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if blob != sibling.get("blobId"):
        raise ModelError(f"{url} does not match the file list of its commit", "pull again")
    return CheckpointFile(model.name, path, len(content), hashlib.sha256(content).hexdigest(), url)


def _get(
    client: httpx.Client,
    url: str,
    model: HubModel,
    hub: HubSettings,
    params: Mapping[str, str] | None = None,
) -> httpx.Response:
    answer = client.get(url, params=params)
    if answer.is_success:
        return answer
    page = f"{hub.hf_endpoint}/{model.repository}"
    code = answer.headers.get("X-Error-Code", "")
    if answer.status_code == httpx.codes.FORBIDDEN or code == "GatedRepo":
        raise ModelError(
            f"{model.repository} is gated: its publisher asks for consent",
            f"accept the terms at {page}, then set HF_TOKEN to a token of that account",
        )
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.NOT_FOUND):
        raise ModelError(
            f"the hub has no public model {model.repository} with the revision {model.revision}",
            f"check the name at {page}; for a private or gated model set HF_TOKEN",
        )
    raise ModelError(f"cannot fetch {url}: HTTP {answer.status_code}", "try again later")


def _offline(model: HubModel, models_dir: Path, hub: HubSettings, error: Exception) -> ModelError:
    return ModelError(
        f"cannot reach {hub.hf_endpoint}: {error or type(error).__name__}",
        "without a network: place config.json, preprocessor_config.json (or "
        f"processor_config.json) and model.safetensors in {models_dir / model.folder}, from "
        f"{hub.hf_endpoint}/{model.repository}/tree/{model.revision}",
    )


def _licence(record: Mapping[str, Any]) -> str:
    card = record.get("cardData") or {}
    names = (card.get("license_name"), card.get("license"))
    return next((str(name) for name in names if name and name != "other"), "other: see its page")
