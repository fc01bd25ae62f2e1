import pytest

from segstudio.gcs.iam import LOOK, READ, WRITE, Member, grant, roles_for


@pytest.mark.parametrize(
    ("missing", "roles"),
    [
        (set(), ()),
        (LOOK, ("roles/storage.legacyBucketReader",)),
        (READ, ("roles/storage.objectViewer",)),
        ({"storage.objects.list"}, ("roles/storage.objectViewer",)),
        ({"storage.objects.create"}, ("roles/storage.objectCreator",)),
        ({"storage.objects.delete"}, ("roles/storage.objectUser",)),
        (READ | WRITE, ("roles/storage.objectUser",)),
        (LOOK | READ, ("roles/storage.legacyBucketReader", "roles/storage.objectViewer")),
        ({"storage.buckets.update"}, ("roles/storage.admin",)),
        (LOOK | WRITE | {"storage.buckets.update"}, ("roles/storage.admin",)),
    ],
)
def test_the_narrowest_roles_are_asked_for(missing: set[str], roles: tuple[str, ...]) -> None:
    assert roles_for(missing) == roles


def test_the_command_to_grant_a_role_can_be_pasted() -> None:
    assert grant("photos", Member("labels@p.iam.gserviceaccount.com"), READ) == (
        "gcloud storage buckets add-iam-policy-binding gs://photos "
        "--member=serviceAccount:labels@p.iam.gserviceaccount.com "
        "--role=roles/storage.objectViewer",
    )
