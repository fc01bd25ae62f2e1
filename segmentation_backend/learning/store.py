"""Learned models of projects on disk: numbered versions, and a pointer to the current one.

``MODELS_DIR/learned/<project>/`` holds the pointer, ``current.json``, and the folder ``versions``
with ``<n>-<digest>`` for each. Both appear atomically, so a killed run leaves the earlier
version in place. Imports no torch: workers read the pointer while they respond.
"""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ml_backend.errors import LabelStudioError, SegstudioError
from ml_backend.labelstudio.responses import Project

MODEL = "model.safetensors"
CARD = "card.json"
VERSIONS_KEPT = 10

_FOLDER = "learned"
_POINTER = "current.json"
_VERSION_NAME = re.compile(r"(\d+)-([0-9a-f]{8})")
_PROJECT = re.compile(r"(\d+)\.(\d+)")
_PART = ".part"


class LearnedStoreError(SegstudioError, kind="learned_store"):
    """The folder of learned models cannot be written, or a requested version is missing."""


@dataclass(frozen=True, order=True)
class ProjectKey:
    """Identity of a project; another database may have another project with the same ID.

    Attributes:
        id: Project ID.
        created: Unix time of its creation, in whole seconds.
    """

    id: int
    created: int

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """Parse ``"<id>.<unix time>"``, as in Label Studio's requests; None for anything else."""
        found = _PROJECT.fullmatch(text) if isinstance(text, str) else None
        return cls(int(found[1]), int(found[2])) if found else None

    @classmethod
    def of(cls, project: Mapping[str, Any]) -> Self | None:
        """Return the key of a project of Label Studio's API; None if fields are missing."""
        try:
            created = datetime.fromisoformat(project["created_at"])
            return cls(int(project["id"]), int(created.timestamp()))
        except (KeyError, TypeError, ValueError):
            return None

    def __str__(self) -> str:
        return f"{self.id}.{self.created}"


@dataclass(frozen=True)
class LearnedVersion:
    """One version of a project's model.

    Attributes:
        project: Project of the version.
        number: Version number, counted from 1.
        digest: First 8 hex digits of the SHA-256 of the model file.
        folder: Folder with the model file and its card.
    """

    project: ProjectKey
    number: int
    digest: str
    folder: Path

    @property
    def name(self) -> str:
        """Model version as sent to Label Studio."""
        return f"learned-{self.project.id}-{self.number}-{self.digest}"

    @property
    def model(self) -> Path:
        """Path of the model file."""
        return self.folder / MODEL

    def card(self) -> dict[str, Any]:
        """Return the content of the card; empty if it is unreadable."""
        return read_json(self.folder / CARD)


class ProjectStore:
    """Learned versions of one project.

    Args:
        root: Folder ``MODELS_DIR/learned``.
        project: Project of the versions.
    """

    def __init__(self, root: Path, project: ProjectKey) -> None:
        self.project = project
        self.folder = root / str(project)
        self._versions = self.folder / "versions"
        self._pointer = self.folder / _POINTER

    def versions(self) -> list[LearnedVersion]:
        """Return the versions on disk, oldest first."""
        names = map(_VERSION_NAME.fullmatch, listing(self._versions))
        found = [
            LearnedVersion(self.project, int(name[1]), name[2], self._versions / name[0])
            for name in names
            if name
        ]
        return sorted(found, key=lambda version: version.number)

    def current(self) -> LearnedVersion | None:
        """Return the current version; None if the shipped model serves."""
        name = read_json(self._pointer).get("version")
        return next((each for each in self.versions() if each.name == name), None)

    def pointer_state(self) -> tuple[int, int] | None:
        """Return a value that changes with the pointer, at the cost of one ``stat``."""
        try:
            found = self._pointer.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def add(
        self, save: Callable[[Path], None], describe: Callable[[LearnedVersion], None]
    ) -> LearnedVersion:
        """Store a new version and let it serve.

        Args:
            save: Writes the model to a path.
            describe: Writes the card into the folder of the new version.

        Raises:
            LearnedStoreError: The folder cannot be written: no access, no space.
        """
        number = max((each.number for each in self.versions()), default=0) + 1
        with writing(self.folder):
            self._remove_parts()
            part = self._versions / f".{uuid.uuid4().hex}{_PART}"
            part.mkdir(parents=True)
            save(part / MODEL)
            digest = _sha256(part / MODEL)[:8]
            describe(LearnedVersion(self.project, number, digest, part))
            folder = self._versions / f"{number}-{digest}"
            part.rename(folder)
        version = LearnedVersion(self.project, number, digest, folder)
        self.use(version)
        self._prune(version)
        return version

    def use(self, version: LearnedVersion | None) -> None:
        """Let a version serve; None: the shipped model.

        Raises:
            LearnedStoreError: The pointer cannot be written.
        """
        write_json(self._pointer, {"version": version.name if version else None})

    def find(self, name: str) -> LearnedVersion:
        """Return a version by its name or its number.

        Raises:
            LearnedStoreError: The version does not exist.
        """
        versions = self.versions()
        for each in versions:
            if name in (each.name, str(each.number), each.folder.name):
                return each
        known = ", ".join(each.name for each in versions) or "none"
        raise LearnedStoreError(
            f"project {self.project.id} has no version {name!r}", f"it has {known}"
        )

    def rollback(self) -> LearnedVersion | None:
        """Make the previous version current; before the first, the shipped model.

        Raises:
            LearnedStoreError: The shipped model already serves, or the pointer cannot be written.
        """
        current = self.current()
        if current is None:
            raise LearnedStoreError(
                f"project {self.project.id} is served by the shipped model already",
                "choose a version with segstudio learn use VERSION",
            )
        earlier = [each for each in self.versions() if each.number < current.number]
        version = earlier[-1] if earlier else None
        self.use(version)
        return version

    def _prune(self, current: LearnedVersion) -> None:
        for old in self.versions()[:-VERSIONS_KEPT]:
            if old != current:
                shutil.rmtree(old.folder, ignore_errors=True)

    def _remove_parts(self) -> None:
        """Remove leftovers of a killed run; only one run works at a time."""
        for name in listing(self._versions):
            if name.endswith(_PART):
                shutil.rmtree(self._versions / name, ignore_errors=True)


def project_key(project: Project) -> ProjectKey:
    """Return the key of a project.

    Raises:
        LabelStudioError: Label Studio does not report when the project was created.
    """
    key = ProjectKey.of({"id": project.id, "created_at": project.created_at})
    if key is None:
        raise LabelStudioError(f"Label Studio gives no creation time of project {project.id}")
    return key


def learned_folder(models_dir: Path) -> Path:
    """Return the folder with the learned models of all projects."""
    return models_dir / _FOLDER


def known_projects(root: Path) -> list[ProjectKey]:
    """Return the projects with a folder below ``root``."""
    return sorted(key for name in listing(root) if (key := ProjectKey.parse(name)))


def listing(folder: Path) -> list[str]:
    """Return the names in a folder; empty if it does not exist."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty if the file is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file atomically.

    Raises:
        LearnedStoreError: The file cannot be written: no access, no space.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PART}")
        try:
            part.write_text(json.dumps(content, indent=1) + "\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Run a body that writes below ``path``.

    Raises:
        LearnedStoreError: The body cannot write: no access, no space.
    """
    try:
        yield
    except OSError as error:
        raise LearnedStoreError(
            f"cannot write {path}: {error.strerror or error}",
            "MODELS_DIR must be writable for the learner, and have free space",
        ) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
