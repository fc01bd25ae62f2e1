"""What a target really holds after a synchronisation, beside what Label Studio says of it."""

from collections import defaultdict
from dataclasses import dataclass

from ml_backend.labelstudio.client import LabelStudio
from segstudio.gcs.objects import Objects
from segstudio.labelstudio.storages import Storage, annotation_objects

_NAMED = 20


@dataclass(frozen=True)
class Outcome:
    """What was counted.

    Attributes:
        url: Of the target.
        problem: Why the synchronisation failed; empty where it did not.
        synced: How many annotations Label Studio says it wrote.
        annotations: How many the project has.
        present: How many of them the bucket holds; None where it cannot be looked at.
        missing: The first of those that it does not hold.
    """

    url: str
    problem: str
    synced: int
    annotations: int
    present: int | None
    missing: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every annotation is where it should be, as far as can be seen."""
        seen = self.synced if self.present is None else self.present
        return not self.problem and seen == self.annotations


def read_back(
    label_studio: LabelStudio, project: int, target: Storage, objects: Objects | None
) -> Outcome:
    """Compare a project's annotations with a target's objects.

    Args:
        label_studio: That the project is in.
        project: Its id.
        target: After its synchronisation.
        objects: Of the target's bucket; None where no key is known.

    Raises:
        BucketError: The bucket cannot be listed.
        LabelStudioError: It does not tell.
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
