"""Project of ``make up``: created once, found again and updated on each start."""

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
"""Called with the number of uploaded photographs, and the total."""


@dataclass(frozen=True)
class DemoProjectSpec:
    """Backends and contents of the project.

    Attributes:
        pair: Both backends.
        photographs: Photographs to label; without any, an empty project gets samples.
        samples: Folder for drawn samples.
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
    """Find or create the project, connect both backends, and add missing photographs.

    Args:
        label_studio: Client for the Label Studio instance.
        project: ID of the project of an earlier run; None on the first.
        spec: Backends and contents of the project.
        remember: Called with the project ID as soon as it is known.
        advance: Called with the number of uploaded photographs and the total.

    Returns:
        Project ID.

    Raises:
        LabelStudioError: Label Studio cannot reach a backend, or refuses a request.
    """
    project = find_or_create(label_studio, project, TEMPLATE.read_text())
    remember(project)
    connect_backends(label_studio, project, spec.pair)
    photographs = spec.photographs or samples_for(label_studio, project, spec.samples)
    add_photographs(label_studio, project, photographs, advance)
    return project


def find_or_create(label_studio: LabelStudio, project: int | None, label_config: str) -> int:
    """Return the project of an earlier run if it still exists, else create one."""
    if project is not None and label_studio.has_project(project):
        return project
    return label_studio.create_project(NewProject(TITLE, label_config))


def samples_for(label_studio: LabelStudio, project: int, folder: Path) -> list[Photograph]:
    """Return drawn sample pictures for a project without tasks, else nothing."""
    return [] if label_studio.project(project).tasks else draw_samples(folder)


def add_photographs(
    label_studio: LabelStudio, project: int, photographs: Sequence[Photograph], advance: Advance
) -> int:
    """Create a task for each photograph that the project does not have; return their number."""
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
