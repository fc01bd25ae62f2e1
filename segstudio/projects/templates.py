"""Label configs from templates, with codes added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element, SubElement, tostring

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.label_config import parse_label_config, parse_xml, refuse
from ml_backend.labelstudio.media_tags import media_tags
from ml_backend.labelstudio.task_paths import place
from segstudio.labelstudio.shipped_configs import SHIPPED_CONFIGS
from segstudio.projects.tasks import TaskField

CODES = "codes"
"""Class of the ``<View>`` for codes; without one, they are added at the end."""


@dataclass(frozen=True)
class Code:
    """Question with fixed answers, as in coding images for social science.

    Attributes:
        name: Name of the control, also shown above it.
        values: Possible answers.
        multiple: Whether several answers may be given.
    """

    name: str
    values: tuple[str, ...]
    multiple: bool

    @classmethod
    def parse(cls, text: str, *, multiple: bool) -> Self:
        """Parse ``Sentiment=Positive,Neutral,Negative``.

        Raises:
            SettingsError: The text has another form, or an answer is repeated.
        """
        name, _, listed = text.partition("=")
        values = tuple(value.strip() for value in listed.split(",") if value.strip())
        if not name.strip() or len(values) < 2 or len(set(values)) < len(values):
            raise SettingsError(
                f"{text!r} is not a code with two or more different answers",
                'write it as "Sentiment=Positive,Neutral,Negative"',
            )
        return cls(name.strip(), values, multiple)


def read_template(name: str) -> str:
    """Return the XML of a template: a file, or the name of a shipped one.

    Raises:
        SettingsError: The template does not exist.
    """
    path: Traversable = Path(name)
    if name == path.name and not path.is_file():
        path = SHIPPED_CONFIGS / f"{name.removesuffix('.xml')}.xml"
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(sorted(each.name for each in SHIPPED_CONFIGS.iterdir()))
        raise SettingsError(
            f"there is no template {name}", f"give the path of a file, or one of {known}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the template {path}: {error}") from None


def read_template_with_codes(
    name: str, single: Iterable[str] = (), multiple: Iterable[str] = ()
) -> str:
    """Read a template and add codes with one and with several answers, as ``Code`` parses them.

    Raises:
        SettingsError: The template cannot be read, or a code is wrong.
    """
    codes = [Code.parse(text, multiple=False) for text in single]
    codes += [Code.parse(text, multiple=True) for text in multiple]
    return add_codes(read_template(name), codes)


def task_fields(label_config: str) -> tuple[TaskField, ...]:
    """Return the fields of ``task.data`` that images, video, audio and labels come from.

    Raises:
        LabelConfigError: The label config is not valid, or shows none of them.
        SettingsError: No task can have all of the fields.
    """
    config = parse_label_config(label_config, require_image=False)
    # One that is the same in all tasks, such as a legend, needs no field.
    images = [image for image in config.images.values() if "$" in image.written]
    refuse(config.problems_of_images(image.name for image in images))
    shown = [*images, *media_tags(label_config)]
    if not shown:
        # One of these raises the error that says what is missing.
        refuse(config.problems_of_images(parse_label_config(label_config).images))
    fields = [TaskField(tag.key, tag.pages) for tag in shown]
    fields += [TaskField(c.dynamic, labels=True) for c in config.controls if c.dynamic]
    fields = list(dict.fromkeys(fields))
    try:
        place((field.path, "") for field in fields)
    except ValueError as error:
        raise SettingsError(
            f"the template shows what no task can hold: {error}",
            "name each image's field in value, or the list of its pages in valueList",
        ) from None
    return tuple(fields)


def shows_images(label_config: str) -> bool:
    """Return whether a label config shows images, which the backends are for."""
    return bool(parse_label_config(label_config, require_image=False).images)


def add_codes(label_config: str, codes: Sequence[Code]) -> str:
    """Add codes to a label config; an existing one with the same name is replaced.

    Raises:
        LabelConfigError: The label config is not valid, or shows no image.
        SettingsError: The name belongs to a control other than choices.
    """
    if not codes:
        return label_config
    root = parse_xml(label_config)
    images = parse_label_config(label_config, require_image=False).images
    shown = [*images, *(tag.name for tag in media_tags(label_config))]
    # Without any, this raises the error that says what is missing.
    target = shown[0] if shown else next(iter(parse_label_config(label_config).images))
    place = next((view for view in root.iter("View") if CODES in _classes(view)), root)
    for code in codes:
        _remove(root, code.name)
        SubElement(place, "Header", value=code.name, size="5")
        choice = "multiple" if code.multiple else "single"
        choices = SubElement(place, "Choices", name=code.name, toName=target, choice=choice)
        for value in code.values:
            SubElement(choices, "Choice", value=value)
    return tostring(root, encoding="unicode")


def _remove(root: Element, name: str) -> None:
    """Remove the choices with a name, and the header with the same text."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("name") == name and child.tag != "Choices":
                raise SettingsError(
                    f"the template has a {child.tag} named {name!r} already",
                    "choose another name for the code",
                )
            header = child.tag == "Header" and child.get("value") == name
            if child.get("name") == name or header:
                parent.remove(child)


def _classes(view: Element) -> list[str]:
    return (view.get("className") or "").split()
