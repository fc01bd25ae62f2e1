"""The image of one task, fetched as the backends fetch it, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import ImageError, LabelConfigError, SettingsError, TaskError
from ml_backend.images import EncodedImage, ImageSettings, ImageSource, TaskAccess, redact
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.task_images import TaskImage, task_images
from segstudio.checks import CheckResult


@dataclass(frozen=True)
class ImageOfTask:
    """Images of a task.

    Attributes:
        task: Task ID.
        settings: Settings of the backends.
    """

    task: int
    settings: ImageSettings

    def steps(self, label_studio: LabelStudio) -> Iterator[CheckResult]:
        """Fetch the images without using or storing copies.

        Args:
            label_studio: Client for the Label Studio instance.

        Yields:
            Each step and its outcome; if one fails, it is the last.

        Raises:
            LabelStudioError: Label Studio does not have the task, or does not respond.
        """
        path = f"/api/tasks/{self.task}/"
        found = label_studio.call("GET", path, params={"resolve_uri": "false"})
        project = label_studio.project(int(found["project"]))
        told = f"of project {project.id}: {project.title}"
        yield CheckResult(f"task {self.task}", "ok", told)
        access = TaskAccess(self.task, project.id, project.login)
        try:
            images = _images(found["data"], parse_label_config(project.label_config))
        except (LabelConfigError, SettingsError, ImageError) as error:
            yield CheckResult("label config", "error", error.message, error.hint)
            return
        for image in images:
            yield from _check_image(self.settings, image, access)


def _images(data: dict[str, Any], label_config: LabelConfig) -> list[TaskImage]:
    found = [each for name in label_config.images for each in task_images(data, label_config, name)]
    if not found:
        raise SettingsError("the label config shows no image", "add <Image> to it")
    return found


def _check_image(
    settings: ImageSettings, image: TaskImage, access: TaskAccess
) -> Iterator[CheckResult]:
    steps: list[CheckResult] = []

    def trace(step: str, outcome: str) -> None:
        steps.append(CheckResult(step, "ok", outcome))

    name = f"image {image.to_name!r}" + (f" page {image.item + 1}" if image.item else "")
    source = ImageSource(settings.model_copy(update={"image_cache_mb": 0}), trace=trace)
    try:
        told = f"{redact(image.reference)}: {source.describe(image.reference, access)}"
        yield CheckResult(name, "ok", told)
        encoded = source.open(image.reference, access=access)
        yield from steps
        steps.clear()
        yield CheckResult("decoded", "ok", _describe(encoded))
    except TaskError as error:
        yield from steps
        yield CheckResult(name, "error", error.message, error.hint)


def _describe(encoded: EncodedImage) -> str:
    height, width = encoded.decode().shape[:2]
    full = encoded.reduced_from()
    reduced = f", reduced from {full[1]} x {full[0]}" if full else ""
    return f"{width} x {height} pixels{reduced}, SHA-256 {encoded.digest[:12]}…"
