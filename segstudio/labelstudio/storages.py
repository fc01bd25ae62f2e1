"""Google Cloud Storage connections of a project: sources of images, targets of annotations."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from segstudio.retries import poll

Kind = Literal["source", "target"]

_PATHS = {"source": "/api/storages/gcs", "target": "/api/storages/export/gcs"}
_PRESIGNED_MINUTES = 60
_SYNC_SECONDS = 3600
_JOB_SECONDS = 3600
_ASK_AGAIN_SECONDS = 1


@dataclass(frozen=True)
class Storage:
    """A storage of a project.

    Attributes:
        id: Storage ID, unique for its kind.
        bucket: Bucket name.
        prefix: Folder in the bucket; empty: none.
        status: Status according to Label Studio; ``completed`` after a successful synchronization.
        synced: Number of annotations written by the last synchronization.
        problem: Reason of a failure; empty on success.
    """

    id: int
    bucket: str
    prefix: str
    status: str
    synced: int
    problem: str

    @property
    def url(self) -> str:
        """Address ``gs://bucket/prefix``."""
        return "/".join(filter(None, [f"gs://{self.bucket}", self.prefix]))


def storages(label_studio: LabelStudio, project: int, kind: Kind) -> list[Storage]:
    """Return the project's Google storages of a kind, oldest first.

    Raises:
        LabelStudioError: Label Studio refuses the request.
    """
    found = label_studio.call("GET", _PATHS[kind], params={"project": project})
    return sorted(map(_parse_storage, found), key=lambda storage: storage.id)


def connect_source(
    label_studio: LabelStudio, project: int, bucket: str, key: Mapping[str, str]
) -> None:
    """Connect a bucket whose images the project shows through signed addresses.

    It is not synchronized, because Label Studio would create a task for each file.
    """
    for storage in storages(label_studio, project, "source"):
        if storage.bucket == bucket:
            return _renew_key(label_studio, "source", storage, key)
    body = {
        "use_blob_urls": True,
        "presign": True,
        "presign_ttl": _PRESIGNED_MINUTES,
        "synchronizable": False,
    }
    return _create_storage(label_studio, "source", project, bucket, key, body)


def connect_target(
    label_studio: LabelStudio, project: int, bucket: str, prefix: str, key: Mapping[str, str] | None
) -> None:
    """Connect a bucket that receives each annotation on submission.

    Args:
        label_studio: Client for the Label Studio instance.
        project: Project ID.
        bucket: Bucket name.
        prefix: Folder in the bucket; empty: none.
        key: Key of the service account; None: Label Studio's own credentials.
    """
    for storage in storages(label_studio, project, "target"):
        if (storage.bucket, storage.prefix) == (bucket, prefix):
            return _renew_key(label_studio, "target", storage, key)
    body = {"prefix": prefix} if prefix else {}
    return _create_storage(label_studio, "target", project, bucket, key, body)


def synchronise(label_studio: LabelStudio, project: int, target: Storage) -> Storage:
    """Write all annotations of a project to a target, and wait until it is done.

    Returns:
        Storage with its updated status.

    Raises:
        LabelStudioError: Label Studio refuses, or its job queue does not finish in time.
    """
    path = f"{_PATHS['target']}/{target.id}/sync"
    try:
        done = _parse_storage(label_studio.call("POST", path, timeout=_SYNC_SECONDS))
    except LabelStudioError as error:
        hint = "check that the key is valid; segstudio storage target replaces it"
        raise LabelStudioError(error.message, error.hint or hint, error.status) from None
    if not _has_ended(done):
        listed = partial(_find_listed, label_studio, project, target)
        done = poll(listed, _has_ended, _ASK_AGAIN_SECONDS, _JOB_SECONDS)
    if not _has_ended(done):
        raise LabelStudioError(
            f"the synchronization of {target.url} is still {done.status!r} after {_JOB_SECONDS} s",
            "check that Label Studio's job workers are running, then run the command again",
        )
    return done


def _has_ended(storage: Storage) -> bool:
    return storage.status not in {"queued", "in_progress"}


def _find_listed(label_studio: LabelStudio, project: int, target: Storage) -> Storage:
    """Return a target from the listing: only there, Label Studio detects dead jobs."""
    for each in storages(label_studio, project, "target"):
        if each.id == target.id:
            return each
    raise LabelStudioError(f"{target.url} was removed from project {project} at the same time")


def annotation_objects(
    label_studio: LabelStudio, project: int, target: Storage
) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield each annotation of a project, and possible names of its object in a target.

    Label Studio names objects after the annotation or, if it saves whole tasks, after the task.
    """
    folder = f"{target.prefix}/" if target.prefix else ""
    for task in label_studio.tasks(project, "id,annotations"):  # annotations are IDs
        for annotation in task["annotations"]:
            number = int(annotation["id"])
            yield number, frozenset({f"{folder}{number}", f"{folder}{task['id']}.json"})


def _create_storage(
    label_studio: LabelStudio,
    kind: Kind,
    project: int,
    bucket: str,
    key: Mapping[str, str] | None,
    body: Mapping[str, Any],
) -> None:
    common = {
        "project": project,
        "title": f"gs://{bucket}",
        "bucket": bucket,
        "google_application_credentials": json.dumps(dict(key)) if key else "",
    }
    try:
        label_studio.call("POST", _PATHS[kind], json={**common, **body})
    except LabelStudioError as error:
        if error.status != 400:
            raise
        raise LabelStudioError(
            f"Label Studio cannot use gs://{bucket}: {error.message}",
            "check that it exists and the service account has access: segstudio bucket setup",
            error.status,
        ) from None


def _renew_key(
    label_studio: LabelStudio, kind: Kind, storage: Storage, key: Mapping[str, str] | None
) -> None:
    """Replace the key of a storage; Label Studio does not return the current one."""
    if key:
        body = {"google_application_credentials": json.dumps(dict(key)), "bucket": storage.bucket}
        label_studio.call("PATCH", f"{_PATHS[kind]}/{storage.id}", json=body)


def _parse_storage(answer: Mapping[str, Any]) -> Storage:
    failed = str(answer["status"]) == "failed"
    lines = str(answer["traceback"] or "no reason given").strip().splitlines()
    return Storage(
        id=int(answer["id"]),
        bucket=answer["bucket"] or "",
        prefix=(answer["prefix"] or "").strip("/"),
        status=str(answer["status"]),
        synced=int(answer["last_sync_count"] or 0),
        problem=lines[-1] if failed else "",
    )
