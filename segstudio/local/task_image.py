"""The image of one task, fetched as the backends fetch it, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import ImageError, LabelConfigError, SettingsError, TaskError
from ml_backend.images import ImageSettings, ImageSource, TaskAccess, redact
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from segstudio.checks import CheckResult


@dataclass(frozen=True)
class TaskImage:
    """The images of a task.

    Attributes:
        task: Task ID.
        settings: As the backends have them.
    """

    task: int
    settings: ImageSettings

    def steps(self, label_studio: LabelStudio) -> Iterator[CheckResult]:
        """Fetch the images without using or leaving copies.

        Args:
            label_studio: Client for the Label Studio instance.

        Yields:
            Each step and what came of it, the failing one last.

        Raises:
            LabelStudioError: Label Studio does not have the task, or does not answer.
        """
        path = f"/api/tasks/{self.task}/"
        found = label_studio.call("GET", path, params={"resolve_uri": "false"})
        project = label_studio.call("GET", f"/api/projects/{found['project']}")
        told = f"of project {project['id']}: {project['title']}"
        yield CheckResult(f"task {self.task}", "ok", told)
        try:
            keys = _image_keys(parse_label_config(project["label_config"]))
        except (LabelConfigError, SettingsError) as error:
            yield CheckResult("label config", "error", error.message, error.hint)
            return
        access = TaskAccess(self.task, int(project["id"]), _login(project))
        for key in keys:
            yield from _check_image(self.settings, key, found["data"].get(key), access)


def _login(project: dict[str, Any]) -> tuple[str, str] | None:
    login, password = project.get("task_data_login"), project.get("task_data_password")
    return (login, password) if login and password else None


def _image_keys(label_config: LabelConfig) -> list[str]:
    keys = list(dict.fromkeys(image.key for image in label_config.images.values()))
    if not keys:
        raise SettingsError("the label config shows no image", "add <Image> to it")
    return keys


def _check_image(
    settings: ImageSettings, key: str, reference: object, access: TaskAccess
) -> Iterator[CheckResult]:
    steps: list[CheckResult] = []
    fresh = settings.model_copy(update={"image_cache_mb": 0})
    source = ImageSource(
        fresh, trace=lambda step, told: steps.append(CheckResult(step, "ok", told))
    )
    try:
        what = source.describe(reference, access)  # type: ignore[arg-type]
        yield CheckResult(f"image {key!r}", "ok", f"{redact(str(reference))}: {what}")
        image = source.open(str(reference), access=access)
        yield from steps
        steps.clear()
        height, width = image.decode().shape[:2]
        yield CheckResult(
            "decoded", "ok", f"{width} x {height} pixels, SHA-256 {image.digest[:12]}…"
        )
    except (ImageError, TaskError) as error:
        yield from steps
        yield CheckResult(f"image {key!r}", "error", error.message, error.hint)
