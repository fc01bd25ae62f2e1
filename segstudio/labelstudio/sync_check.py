"""Compare the objects of a target after a synchronization with Label Studio's own count."""

from collections import defaultdict
from dataclasses import dataclass

from ml_backend.labelstudio.client import LabelStudio
from segstudio.gcs.objects import Objects
from segstudio.labelstudio.storages import Storage, annotation_objects

_NAMED = 20


@dataclass(frozen=True)
class Outcome:
    """Result of a comparison.

    Attributes:
        url: Address of the target.
        problem: Reason of a failed synchronization; empty on success.
        synced: Number of written annotations according to Label Studio.
        annotations: Number of annotations in the project.
        present: Number of those in the bucket; None if it cannot be read.
        missing: IDs of the first missing ones.
    """

    url: str
    problem: str
    synced: int
    annotations: int
    present: int | None
    missing: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether no annotation is known to be missing."""
        seen = self.synced if self.present is None else self.present
        return not self.problem and seen == self.annotations


def read_back(
    label_studio: LabelStudio, project: int, target: Storage, objects: Objects | None
) -> Outcome:
    """Compare a project's annotations with a target's objects.

    Args:
        label_studio: Client for the Label Studio instance.
        project: Project ID.
        target: Target after its synchronization.
        objects: Objects of the target's bucket; None without a key.

    Raises:
        BucketError: The bucket cannot be listed.
        LabelStudioError: A request fails.
    """
    owners = defaultdict[str, set[int]](set)  # annotations of one task may share an object
    annotations = set[int]()
    for number, names in annotation_objects(label_studio, project, target):
        annotations.add(number)
        for name in names:
            owners[name].add(number)
    missing: list[int] = []
    if objects is not None:
        folder = f"{target.prefix}/" if target.prefix else ""
        found = (owners[name] for name, _ in objects.list(folder) if name in owners)
        missing = sorted(annotations.difference(*found))
    return Outcome(
        url=target.url,
        problem=target.problem,
        synced=target.synced,
        annotations=len(annotations),
        present=None if objects is None else len(annotations) - len(missing),
        missing=tuple(missing[:_NAMED]),
    )
