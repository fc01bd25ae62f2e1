"""Images of a task: paths into its data, and the pages of a list."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_backend.errors import ImageReferenceError
from ml_backend.labelstudio.controls import ImageTag
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.task_paths import look_up

MOST_PAGES = 1000
"""Maximum pages of one image tag: more than anybody turns."""

_SEPARATORS = ("\n", "|", ";", ",")


@dataclass(frozen=True)
class TaskImage:
    """One image of a task.

    Attributes:
        to_name: Name of the image tag that shows it.
        item: Page, counted from 0; None if the tag shows one image.
        reference: Image reference from ``task.data``.
    """

    to_name: str
    item: int | None
    reference: str


def task_images(data: Mapping[str, Any], label_config: LabelConfig, name: str) -> list[TaskImage]:
    """Return the images that an image tag shows of a task, page by page.

    Args:
        data: Data of the task.
        label_config: Label config of the project.
        name: Name of the image tag.

    Raises:
        ImageReferenceError: The task has no image there; names the path.
    """
    image = label_config.images[name]
    found = look_up(data, image.key)
    if not image.pages:
        return [TaskImage(name, None, _reference(found, image.key))]
    pages = split_pages(found) if isinstance(found, str) else found
    if not isinstance(pages, Sequence) or not pages:
        raise ImageReferenceError(
            f"task.data has no list of images under {image.key!r:.80}",
            f"import the task with a list of addresses as {image.key!r:.80}, or use value in place "
            "of valueList",
        )
    if len(pages) > MOST_PAGES:
        raise ImageReferenceError(
            f"task.data has {len(pages)} images under {image.key!r:.80}",
            f"make tasks of at most {MOST_PAGES} pages",
        )
    return [
        TaskImage(name, item, _reference(page, f"{image.key}[{item}]"))
        for item, page in enumerate(pages)
    ]


def task_image(
    data: Mapping[str, Any], label_config: LabelConfig, name: str, item: int
) -> TaskImage:
    """Return one image of a task.

    Args:
        data: Data of the task.
        label_config: Label config of the project.
        name: Name of the image tag.
        item: Page, if the tag shows several.

    Raises:
        ImageReferenceError: The task has no image there; names the path.
    """
    images = task_images(data, label_config, name)
    if not label_config.images[name].pages:
        return images[0]
    if item >= len(images):
        key = label_config.images[name].key
        raise ImageReferenceError(
            f"task.data has {len(images)} pages under {key!r:.80}, not {item + 1}"
        )
    return images[item]


def references(data: Mapping[str, Any], image: ImageTag) -> list[str]:
    """Return the references of a task for an image tag, one for each page.

    Returns:
        At least one; an empty string if there is none.
    """
    found = look_up(data, image.key)
    pages = split_pages(found) if image.pages and isinstance(found, str) else found
    listed = pages if image.pages and isinstance(pages, list) else [pages]
    return [each if isinstance(each, str) else "" for each in listed[:MOST_PAGES]] or [""]


def needed_data(data: Mapping[str, Any], label_config: LabelConfig) -> dict[str, Any]:
    """Return the values of a task's data that its images and labels come from, by path."""
    paths = [image.key for image in label_config.images.values()]
    paths += [control.dynamic for control in label_config.controls if control.dynamic]
    return {path: value for path in paths if (value := look_up(data, path)) is not None}


def split_pages(text: str) -> list[str]:
    """Split the addresses of several pages that a table holds in one field.

    Accepts a JSON list, or addresses separated by line breaks, ``|``, ``;`` or commas; if a part
    would not be an address, the text is a single one.
    """
    if text.lstrip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError:
            listed = None
        if isinstance(listed, list):
            return listed
    for separator in _SEPARATORS:
        parts = [part.strip() for part in text.split(separator) if part.strip()]
        if len(parts) > 1 and all("/" in part for part in parts) and not text.startswith("data:"):
            return parts
    return [text.strip()] if text.strip() else []


def _reference(found: Any, path: str) -> str:
    if not isinstance(found, str) or not found.strip():
        raise ImageReferenceError(
            f"task.data has no image under {path!r:.80}",
            f"import the task with a {path!r:.80} field, or change value in <Image value=...>",
        )
    return found
