"""All settings: the table of the configuration page, and ``.env.example``."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from pydantic import BaseModel

from docgen.compose_settings import ComposeSettings
from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.serving.settings import BackendSettings
from sam_backend.settings import SamSettings
from segmentation_backend.settings import SegmentationSettings
from segstudio.settings import PlaceSettings, UpSettings

SECTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "`make up` and `docker compose`": PlaceSettings,
        "`make up`": UpSettings,
        "`docker compose`": ComposeSettings,
        "Both backends": BackendSettings,
        "Both backends: embeddings": EmbeddingSettings,
        "Segmentation backend": SegmentationSettings,
        "Sam backend": SamSettings,
    }
)
"""Heading, which names the programs → the settings that they read."""

OFTEN_SET = (
    "IMAGES",
    "LABEL_STUDIO_URL",
    "LABEL_STUDIO_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS_BASE64",
    "SEGMENTATION_MODEL",
    "SAM_MODEL",
)
"""Settings that ``.env.example`` begins with."""


@dataclass(frozen=True)
class Setting:
    """A setting as the documentation shows it.

    Attributes:
        section: Programs that read it, a key of ``SECTIONS``.
        name: Environment variable.
        default: Default value; empty where there is none.
        text: Line of help.
    """

    section: str
    name: str
    default: str
    text: str


def all_settings() -> list[Setting]:
    """Return all settings; one that several programs share is listed once, at the first."""
    found: dict[str, Setting] = {}
    for section, kind in SECTIONS.items():
        for name, field in kind.model_fields.items():
            default, text = _default(field.default), str(field.description)
            found.setdefault(name, Setting(section, name.upper(), default, text))
    return list(found.values())


def configuration_tables() -> str:
    """Return the Markdown tables of the configuration page, one for each section."""
    groups = groupby(all_settings(), lambda setting: setting.section)
    return "\n\n".join("\n".join(_section(section, group)) for section, group in groups)


def _section(section: str, settings: Iterator[Setting]) -> Iterator[str]:
    yield f"## {section}"
    yield ""
    yield "| variable | default | meaning |"
    yield "|---|---|---|"
    for setting in settings:
        default = f"`{setting.default}`" if setting.default else ""
        yield f"| `{setting.name}` | {default} | {setting.text} |"


def env_example() -> str:
    """Return the content of ``.env.example``: what people set, then everything else commented."""
    settings = {setting.name: setting for setting in all_settings()}
    lines = ["# Copy this file to .env. It begins with what most people set. Empty: unset."]
    for name in OFTEN_SET:
        lines += ["", f"# {settings[name].text}", f"{name}={settings[name].default}"]
    lines += [
        "",
        "",
        "# All other settings, with their defaults. Remove the # to set one.",
    ]
    others = [setting for setting in settings.values() if setting.name not in OFTEN_SET]
    for section, group in groupby(others, lambda setting: setting.section):
        lines += ["", f"# --- {section.replace('`', '')} ---"]
        for setting in group:
            lines += [f"# {setting.text}", f"#{setting.name}={setting.default}"]
    return "\n".join(lines) + "\n"


def _default(default: object) -> str:
    if default is None or default == ():
        return ""
    return str(default).replace(tempfile.gettempdir(), "/tmp")  # noqa: S108 - text of the docs
