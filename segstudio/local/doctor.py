"""Checks between a labeler and a mask, each with a suggested fix."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from ml_backend.errors import CredentialsError, LabelStudioError, SegstudioError
from ml_backend.labelstudio.auth import is_personal
from ml_backend.labelstudio.client import LabelStudio
from segstudio.checks import CheckResult
from segstudio.gcs.checks import check_bucket
from segstudio.gcs.client import GoogleSettings, connect, service_account
from segstudio.gcs.objects import BucketError
from segstudio.gcs.service_account import fetch_token
from segstudio.labelstudio.ml_backends import (
    BackendError,
    BackendPair,
    ask_classes,
    ask_version,
    connected,
)
from segstudio.labelstudio.storages import storages
from segstudio.local.connection import LabelStudioAccess
from segstudio.local.task_image import ImageOfTask

TRIED_WITH = "1.23"
"""Version of Label Studio that segstudio is tested with."""

_FREE_BYTES = 2 << 30
_RETRY_SECONDS = 5


@dataclass(frozen=True)
class Doctor:
    """Read-only checks of the installation.

    Attributes:
        access: Access to Label Studio, or the reason why none is known.
        pair: Both backends.
        project: Project ID to check from; None: that of ``make up``, if any.
        buckets: Names of buckets to check in addition to the project's own.
        google: Settings with the service account.
        folders: Folders that must have free space.
        task_image: Task whose image is fetched instead of all other checks.
    """

    access: LabelStudioAccess | SegstudioError
    pair: BackendPair
    project: int | None
    buckets: Sequence[str]
    google: GoogleSettings
    folders: Sequence[Path]
    task_image: ImageOfTask | None = None

    def checks(self) -> Iterator[CheckResult]:
        """Yield the results of all checks."""
        buckets = list(self.buckets)
        if isinstance(self.access, LabelStudioAccess):
            with LabelStudio(self.access.url, self.access.token) as label_studio:
                yield from self._check_label_studio(label_studio, self.access, buckets)
        else:
            yield _failed("Label Studio", self.access)
        if self.task_image is not None:
            return
        yield from self._check_backends()
        yield from self._check_google(buckets)
        for folder in self.folders:
            yield _check_disk_space(folder)

    def _check_label_studio(
        self, label_studio: LabelStudio, access: LabelStudioAccess, buckets: list[str]
    ) -> Iterator[CheckResult]:
        """Check Label Studio and the project; appends the project's buckets to ``buckets``."""
        kind = "personal access token" if is_personal(access.token) else "legacy token"
        try:
            yield CheckResult("Label Studio", "ok", _describe_version(label_studio))
            what = "token"
            yield CheckResult(what, "ok", f"{kind} of {label_studio.user()}")
            if self.task_image is not None:
                what = f"task {self.task_image.task}"
                yield from self.task_image.steps(label_studio)
                return
            what = "private addresses"
            yield _check_private_addresses(label_studio, self.pair)
            project = self.project or access.project
            if project is None:
                told = "name a project with --project"
                yield CheckResult("backends from Label Studio", "unknown", told)
                return
            what = f"project {project}"
            yield from _check_connections(label_studio, project, self.pair)
            buckets += [each.bucket for each in storages(label_studio, project, "source")]
        except LabelStudioError as error:
            what = "Label Studio" if error.status is None else what
            yield _failed(what, error, f"{kind}: " if what == "token" else "")

    def _check_backends(self) -> Iterator[CheckResult]:
        for what, url in (("segmentation", self.pair.segmentation), ("sam", self.pair.sam)):
            try:
                told = f"{ask_version(url, self.pair.login)} at {url}"
                if what == "segmentation":
                    told += f"; {ask_classes(url, self.pair.login)}"
            except BackendError as error:
                yield _failed(f"{what} backend", error)
            else:
                yield CheckResult(f"{what} backend", "ok", told)

    def _check_google(self, buckets: Sequence[str]) -> Iterator[CheckResult]:
        try:
            fields = service_account(self.google)
            if fields is None:
                yield CheckResult("Google key", "unknown", "none is set; gs:// images need one")
                return
            yield CheckResult("Google key", "ok", f"decodes: {fields['client_email']}")
            fetch_token(fields)
            yield CheckResult("Google token", "ok", "given for the key")
        except (CredentialsError, BucketError) as error:
            yield _failed("Google key", error, fix="segstudio credentials check")
            return
        cloud = connect(self.google, retry_seconds=_RETRY_SECONDS)
        url = self.access.url if isinstance(self.access, LabelStudioAccess) else ""
        for bucket in dict.fromkeys(buckets):
            yield from check_bucket(cloud, bucket, url)


def _describe_version(label_studio: LabelStudio) -> str:
    version = label_studio.version()
    told = f"{version} at {label_studio.url}"
    tried = version.startswith(f"{TRIED_WITH}.")
    return told if tried else f"{told}; segstudio is tested with {TRIED_WITH}"


def _check_connections(
    label_studio: LabelStudio, project: int, pair: BackendPair
) -> Iterator[CheckResult]:
    """Check that both backends are connected in order and work; ignores others."""
    label_studio.project(project)
    connect = f"segstudio backends connect --project {project}"
    connections = connected(label_studio, project, pair).values()
    for each in connections:
        subject = f"{each.title} from Label Studio"
        if each.works:
            yield CheckResult(subject, "ok", each.answer)
        else:
            yield CheckResult(subject, "error", each.answer, connect)
    if [each.interactive for each in connections] != [False, True]:
        told = "the segmentation backend must be first, then the sam backend, interactive"
        yield CheckResult(f"backends of project {project}", "error", told, connect)


def _check_private_addresses(label_studio: LabelStudio, pair: BackendPair) -> CheckResult:
    """Check that Label Studio allows the backends' addresses.

    Label Studio validates the address before it notices the missing project, so nothing is
    created.
    """
    what = "private addresses"
    for url in (pair.segmentation, pair.sam):
        try:
            label_studio.call("POST", "/api/ml", json={"url": url})
        except LabelStudioError as error:
            if error.status == httpx.codes.FORBIDDEN:
                fix = (
                    "start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false "
                    "USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16"
                )
                return CheckResult(what, "error", f"Label Studio refuses {url}", fix)
            if error.status != httpx.codes.BAD_REQUEST:
                return _failed(what, error)
    return CheckResult(what, "ok", "Label Studio may talk to the backends")


def _check_disk_space(folder: Path) -> CheckResult:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / 1e9:.1f} GB free"
    if free < _FREE_BYTES:
        return CheckResult(f"disk of {folder}", "error", told, f"free some: du -sh {there}/*")
    return CheckResult(f"disk of {folder}", "ok", told)


def _failed(what: str, error: SegstudioError, prefix: str = "", fix: str = "") -> CheckResult:
    return CheckResult(what, "error", prefix + error.message, fix or error.hint)
