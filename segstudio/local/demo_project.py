"""The project that labelers work in: made once, found again, brought up to date on each start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.labelstudio.client import LabelStudio, NewProject, NewTask
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.labelstudio.shipped_configs import SHIPPED_CONFIGS
from segstudio.local.images import Photograph, batches, draw_samples

TITLE = "Runway fashion"
TEMPLATE = SHIPPED_CONFIGS / "runway_fashion.xml"

_DIGEST = "sha256"

Advance = Callable[[int, int], None]
"""Told how many photographs are uploaded, of how many."""


@dataclass(frozen=True)
class DemoProjectSpec:
    """What the project is connected to, and holds.

    Attributes:
        pair: Both backends.
        photographs: To label; where there are none, an empty project gets samples.
        samples: Folder that they are drawn into.
    """

    pair: BackendPair
    photographs: Sequence[Photograph]
    samples: Path


def update_demo_project(
    label_studio: LabelStudio,
    project: int | None,
    spec: DemoProjectSpec,
    remember: Callable[[int], None],
    advance: Advance,
) -> int:
    """Make the project or find it again, connect both backends, add what it lacks.

    Args:
        label_studio: That it is in.
        project: Id of the one that an earlier run made; None on the first.
        spec: What it is connected to, and holds.
        remember: Is told the id as soon as it is known.
        advance: Is told how it goes.

    Returns:
        The project's id.

    Raises:
        LabelStudioError: It does not reach a backend, or refuses something.
    """
    project = find_or_create(label_studio, project, TEMPLATE.read_text())
    remember(project)
    connect_backends(label_studio, project, spec.pair)
    photographs = spec.photographs or samples_for(label_studio, project, spec.samples)
    add_photographs(label_studio, project, photographs, advance)
    return project


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
