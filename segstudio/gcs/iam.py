"""Permissions of a service account in a bucket, and the roles that grant them."""

from collections.abc import Collection
from dataclasses import dataclass

LOOK = frozenset({"storage.buckets.get"})
READ = frozenset({"storage.objects.get", "storage.objects.list"})
WRITE = frozenset({"storage.objects.create", "storage.objects.delete"})
"""Includes deletion, because replacing an object deletes the previous one."""

_NARROWEST_FIRST = (
    ("roles/storage.objectViewer", READ),
    ("roles/storage.objectCreator", frozenset({"storage.objects.create"})),
    ("roles/storage.objectUser", READ | WRITE | {"storage.objects.update"}),
)
_BUCKET_READER = "roles/storage.legacyBucketReader"
_ADMIN = "roles/storage.admin"


@dataclass(frozen=True)
class Member:
    """Account in IAM notation.

    Attributes:
        email: E-mail address of the service account; empty if unknown, as for a person's login.
    """

    email: str

    def __str__(self) -> str:
        return f"serviceAccount:{self.email}" if self.email else "MEMBER"


def roles_for(missing: Collection[str]) -> tuple[str, ...]:
    """Return the narrowest predefined bucket roles that grant all missing permissions.

    Source: https://cloud.google.com/storage/docs/access-control/iam-roles
    """
    permissions = set(missing)
    roles = []
    if permissions & LOOK:
        roles.append(_BUCKET_READER)
        permissions -= LOOK
    if permissions:
        fitting = (role for role, holds in _NARROWEST_FIRST if permissions <= holds)
        roles.append(next(fitting, _ADMIN))
    return (_ADMIN,) if _ADMIN in roles else tuple(roles)


def grant(bucket: str, member: Member, missing: Collection[str]) -> tuple[str, ...]:
    """Return the commands that grant missing permissions in a bucket, for its owner to run."""
    return tuple(
        f"gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        f"--member={member} --role={role}"
        for role in roles_for(missing)
    )


def grant_creation(project: str, member: Member) -> str:
    """Return the command that allows a member to create buckets in a project."""
    return f"gcloud projects add-iam-policy-binding {project} --member={member} --role={_ADMIN}"
