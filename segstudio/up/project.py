"""The project that labelers work in: made once, found again, brought up to date on each start."""

from collections.abc import Callable, Sequence
from pathlib import Path

from segstudio.label_studio import LabelStudio, NewProject, NewTask
from segstudio.up.photographs import Photograph, batches, draw_samples

TITLE = "Runway fashion"

_DIGEST = "sha256"

Advance = Callable[[int, int], None]
"""Told how many photographs are uploaded, of how many."""


def find_or_create(label_studio: LabelStudio, project: int | None, label_config: str) -> int:
    """The project of an earlier run, if nobody has deleted it; else a new one."""
    if project is not None and label_studio.has_project(project):
        return project
    return label_studio.create_project(NewProject(TITLE, label_config))


def samples_for(label_studio: LabelStudio, project: int, folder: Path) -> list[Photograph]:
    """Something to try on: drawn pictures, for a project without tasks."""
    return [] if label_studio.project(project).tasks else draw_samples(folder)


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
