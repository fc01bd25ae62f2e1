"""Prepare buckets for Label Studio: create, configure and test them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
from google.cloud import storage  # type: ignore[import-untyped]

from segstudio.checks import CheckResult, Status
from segstudio.gcs.client import GcsConnection
from segstudio.gcs.cors import label_studio_rule, with_rule
from segstudio.gcs.iam import LOOK, READ, WRITE, grant, grant_creation
from segstudio.gcs.objects import BucketError
from segstudio.gcs.signed_urls import try_signed_url

_NEEDS = (("look", LOOK), ("read", READ), ("write", WRITE))
_CONFIGURE = frozenset({"storage.buckets.update"})


@dataclass(frozen=True)
class BucketSpec:
    """Required state of a bucket.

    Attributes:
        name: Bucket name.
        origins: Origins of the pages that show its images.
        versioned: Whether to keep overwritten objects; False changes nothing.
    """

    name: str
    origins: tuple[str, ...]
    versioned: bool


@dataclass(frozen=True)
class BucketSetup:
    """Brings one bucket to its required state; idempotent.

    Attributes:
        cloud: Connection to Google Cloud Storage.
        spec: Required state of the bucket.
        location: Location of a new bucket, such as ``EU``.
        dry_run: Whether to change nothing, including test writes.
    """

    cloud: GcsConnection
    spec: BucketSpec
    location: str
    dry_run: bool

    def steps(self) -> Iterator[CheckResult]:
        """Run all steps and yield their results.

        Raises:
            BucketError: Google does not respond, or fails for a reason other than permissions.
        """
        bucket = self.cloud.bucket(self.spec.name)
        existence = self._check_exists(bucket)
        yield existence
        if existence.status == "planned":
            yield self._result("CORS", "planned", ", ".join(self.spec.origins))
            if self.spec.versioned:
                yield self._result("versioning", "planned", "on")
            return
        if existence.status != "error":
            yield from self._configure(bucket)
        missing = self._missing_permissions(bucket)
        yield from self._check_permissions(missing)
        if not missing and not self.dry_run:
            yield self._check_signing(bucket)

    def _check_exists(self, bucket: storage.Bucket) -> CheckResult:
        try:
            with self.cloud.explained(bucket.name):
                bucket.reload(**self.cloud.options)
        except BucketError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return self._create_bucket(bucket)
            if error.status != httpx.codes.FORBIDDEN:
                raise
            return self._forbidden("bucket", "it may not be looked at", LOOK)
        return self._result("bucket", "ok", "it is there")

    def _create_bucket(self, bucket: storage.Bucket) -> CheckResult:
        if self.cloud.project is None:
            raise BucketError(
                f"gs://{bucket.name} does not exist, and no project is known to create it in",
                "name the Google Cloud project with --project",
            )
        detail = f"in project {self.cloud.project}, location {self.location}, not public"
        if self.dry_run:
            return self._result("bucket", "planned", detail)
        bucket.iam_configuration.uniform_bucket_level_access_enabled = True
        bucket.iam_configuration.public_access_prevention = "enforced"
        try:
            with self.cloud.explained(bucket.name):
                bucket.create(
                    project=self.cloud.project, location=self.location, **self.cloud.options
                )
        except BucketError as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            fix = grant_creation(self.cloud.project, self.cloud.member)
            raise BucketError(error.message, fix, error.status) from error
        return self._result("bucket", "changed", f"created {detail}")

    def _configure(self, bucket: storage.Bucket) -> Iterator[CheckResult]:
        rules = list(bucket.cors)
        wanted = with_rule(rules, label_studio_rule(self.spec.origins))
        origins = ", ".join(self.spec.origins)
        if wanted == rules:
            yield self._result("CORS", "ok", origins)
        else:
            bucket.cors = wanted
            yield self._patch(bucket, "CORS", origins)
        if not self.spec.versioned:
            return
        if bucket.versioning_enabled:
            yield self._result("versioning", "ok", "on")
        else:
            bucket.versioning_enabled = True
            yield self._patch(bucket, "versioning", "on")

    def _patch(self, bucket: storage.Bucket, what: str, detail: str) -> CheckResult:
        if self.dry_run:
            return self._result(what, "planned", detail)
        try:
            with self.cloud.explained(bucket.name):
                bucket.patch(if_metageneration_match=bucket.metageneration, **self.cloud.options)
        except BucketError as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            return self._forbidden(what, f"it may not be set to {detail}", _CONFIGURE)
        return self._result(what, "changed", detail)

    def _missing_permissions(self, bucket: storage.Bucket) -> frozenset[str]:
        """Return the permissions that Label Studio and uploads need and the member has not."""
        needed = frozenset().union(*(permissions for _, permissions in _NEEDS))
        with self.cloud.explained(bucket.name):
            held = bucket.test_iam_permissions(sorted(needed), **self.cloud.options)
        return needed - frozenset(held)

    def _check_permissions(self, missing: frozenset[str]) -> Iterator[CheckResult]:
        """Yield a step for each permission; missing ones share the fix that grants all of them."""
        fixes = grant(self.spec.name, self.cloud.member, missing)
        for what, permissions in _NEEDS:
            if absent := permissions & missing:
                detail = f"the account has no {', '.join(sorted(absent))}"
                yield self._result(what, "error", detail, fixes)
            else:
                yield self._result(what, "ok", "permitted")

    def _check_signing(self, bucket: storage.Bucket) -> CheckResult:
        problem = try_signed_url(self.cloud, bucket)
        if problem:
            return self._result("sign", "error", problem)
        return self._result("sign", "ok", "an image was written, and read through a signed address")

    def _forbidden(self, what: str, detail: str, permissions: frozenset[str]) -> CheckResult:
        fixes = grant(self.spec.name, self.cloud.member, permissions)
        return self._result(what, "error", detail, fixes)

    def _result(
        self, what: str, status: Status, detail: str, fixes: Sequence[str] = ()
    ) -> CheckResult:
        return CheckResult(f"gs://{self.spec.name} {what}", status, detail, "\n".join(fixes))
