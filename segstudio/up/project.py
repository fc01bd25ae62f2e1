"""The project that labelers work in: made once, found again, brought up to date on each start."""

from collections.abc import Callable, Sequence

from segstudio.label_studio import Connection, LabelStudio, NewTask
from segstudio.up.photographs import Photograph, batches

TITLE = "Runway fashion"

_DIGEST = "sha256"

Advance = Callable[[int, int], None]
"""Told how many photographs are uploaded, of how many."""


def find_or_create(label_studio: LabelStudio, project: int | None, label_config: str) -> int:
    """The project of an earlier run, if nobody has deleted it; else a new one."""
    if project is not None and label_studio.has_project(project):
        return project
    return label_studio.create_project(TITLE, label_config)


def join(label_studio: LabelStudio, project: int, segmentation: str, sam: str) -> None:
    """Connect the project to both backends and no older address of theirs.

    Label Studio asks the backend that was connected first for a task's prediction, so where one of
    the two is missing, or has moved, both are connected again, in order.

    Args:
        label_studio: That the project is in.
        project: Its id.
        segmentation: URL of the segmentation backend.
        sam: URL of the sam backend.
    """
    wanted = [
        Connection("Garments", segmentation, interactive=False),
        Connection("Smart tools", sam, interactive=True),
    ]
    titles = {connection.title for connection in wanted}
    ours = {
        id_: connection
        for id_, connection in label_studio.connections(project).items()
        if connection.title in titles
    }
    if list(ours.values()) == wanted:
        return
    for id_, connection in ours.items():
        label_studio.disconnect(project, id_, connection)
    for connection in wanted:
        label_studio.connect(project, connection)


def add_photographs(
    label_studio: LabelStudio, project: int, photographs: Sequence[Photograph], advance: Advance
) -> int:
    """Make a task of each photograph that the project does not have yet; returns how many."""
    known = {meta.get(_DIGEST) for meta in label_studio.task_metas(project)}
    new = {photo.digest: photo for photo in photographs if photo.digest not in known}
    done = 0
    for batch in batches(list(new.values())):
        references = label_studio.upload(project, [(p.upload_name, p.path) for p in batch])
        label_studio.create_tasks(
            project,
            [
                NewTask({"image": reference, "Name": photo.name}, {_DIGEST: photo.digest})
                for reference, photo in zip(references, batch, strict=True)
            ],
        )
        done += len(batch)
        advance(done, len(new))
    return done
