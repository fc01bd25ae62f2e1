"""Fix the text of a label config where there is one right answer; keeps comments and layout."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from ml_backend.labelstudio.label_config import (
    Label,
    LabelConfig,
    image_problem,
    parse_label_config,
)
from ml_backend.labelstudio.label_config_xml import PlacedTag, parse_xml
from segstudio.labelstudio.lint import DEAD_TOOLS, SMART_TOOLS

_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")

_MOST_PASSES = 10
"""Maximum passes over a text, because a tag may need several fixes."""

Tags = Mapping[str, PlacedTag]


@dataclass(frozen=True)
class _Edit:
    """Replacement of the bytes from ``start`` to ``end``; ``done`` describes the fix."""

    start: int
    end: int
    text: str
    done: str


def fix(label_config: str) -> tuple[str, list[str]]:
    """Fix a label config.

    Args:
        label_config: Label config as XML.

    Returns:
        Fixed text, and a description of each fix with its line.

    Raises:
        LabelConfigError: The label config cannot be parsed.
    """
    done: list[str] = []
    for _ in range(_MOST_PASSES):
        edits = _edits(label_config)
        if not edits:
            break
        source = fixed = label_config.encode()
        for edit in sorted(edits.values(), key=lambda each: each.start, reverse=True):
            fixed = fixed[: edit.start] + edit.text.encode() + fixed[edit.end :]
        label_config = fixed.decode()
        lines = ((source.count(b"\n", 0, each.start) + 1, each.done) for each in edits.values())
        done += [f"line {line}: {text}" for line, text in sorted(lines)]
    return label_config, done


def _edits(label_config: str) -> dict[int, _Edit]:
    """Return one edit for each tag, by its offset."""
    config = parse_label_config(label_config)
    source = label_config.encode()
    root = parse_xml(label_config)
    tags = {tag.get("name", ""): tag for tag in root.tags()}
    edits = (
        *_targets(config, tags, source),
        *_images(config, tags, source),
        *_smart(config, tags, source),
        *_hotkeys(root, source),
        *_controls(config, source),
    )
    return {edit.start: edit for edit in reversed(edits)}


def _targets(config: LabelConfig, tags: Tags, source: bytes) -> Iterator[_Edit]:
    """Yield edits that set ``toName`` to the only image if it names nothing to draw on."""
    if len(config.images) == 1:
        (image,) = config.images
        for problem in config.wrong_targets():
            yield _set(tags[problem.where], source, "toName", image)


def _images(config: LabelConfig, tags: Tags, source: bytes) -> Iterator[_Edit]:
    """Yield edits that remove a fixed address before a variable."""
    for image in config.images.values():
        variable = image.written[image.written.find("$") :]
        if image_problem(image) and image.written.find("$") > 0:
            name = "valueList" if image.pages else "value"
            yield _set(tags[image.name], source, name, variable)


def _smart(config: LabelConfig, tags: Tags, source: bytes) -> Iterator[_Edit]:
    """Yield edits of ``smart``: off where it has no effect, on where a label asks for it."""
    for name, control in {each.name: each for each in config.controls}.items():
        asked = any(label.smart for label in control.labels)
        status = (control.type, name) == ("textarea", "status")
        if (control.type in DEAD_TOOLS or status) and control.smart:
            yield _set(tags[name], source, "smart", "false")
        elif control.smart_attribute and control.shape and control.type not in SMART_TOOLS:
            yield _set(tags[name], source, "smart", None)
        elif control.smart_attribute is False and asked and control.type in SMART_TOOLS:
            yield _set(tags[name], source, "smart", "true")


def _hotkeys(root: PlacedTag, source: bytes) -> Iterator[_Edit]:
    """Yield edits that remove the hotkey of the later of two labels with the same one."""
    taken: set[str] = set()
    for tag in root.tags():
        key = tag.get("hotkey", "").casefold()
        if key and key in taken:
            yield _set(tag, source, "hotkey", None)
        taken.add(key)


def _controls(config: LabelConfig, source: bytes) -> Iterator[_Edit]:
    """Yield edits that add a brush or a smart box if nothing takes masks or prompts."""
    image = next(iter(config.images))
    tools = config.smart_tools()
    labels = config.mask_labels() or tuple(label for tool in tools for label in tool.labels)
    missing = []
    if labels and not any(map(config.suggestion_controls, config.images)):
        missing.append(_new("BrushLabels", "mask", "false", image, labels, config))
    if labels and not any(tool.to_name == image for tool in tools):
        missing.append(_new("RectangleLabels", "box", "true", image, labels, config))
    end = source.rindex(b"</")
    for tag in missing:
        yield _Edit(end, end, f"  {tag}\n", f"added {tag.partition('>')[0]}>")


def _new(
    tag: str, name: str, smart: str, image: str, labels: Iterable[Label], config: LabelConfig
) -> str:
    free = next(n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in config.tags)
    values = dict.fromkeys(label.value for label in labels)
    inner = "".join(f"<Label value={quoteattr(value)}/>" for value in values)
    opening = f"<{tag} name={quoteattr(free)} toName={quoteattr(image)} smart={quoteattr(smart)}>"
    return f"{opening}{inner}</{tag}>"


def _set(tag: PlacedTag, source: bytes, name: str, value: str | None) -> _Edit:
    """Return an edit that sets or removes an attribute of a tag."""
    found = _TAG.match(source, tag.offset)
    text = found.group().decode() if found else ""
    attribute = re.compile(rf"""\s{name}(?:Only)?\s*=\s*("[^"]*"|'[^']*')""", re.IGNORECASE)
    bare = attribute.sub("", text)
    closing = "/>" if bare.endswith("/>") else ">"
    added = "" if value is None else f" {name}={quoteattr(value)}"
    done = f"{tag.tag} without {name}" if value is None else f'{tag.tag} {name}="{value}"'
    new = bare.removesuffix(closing).rstrip() + added + closing
    return _Edit(tag.offset, tag.offset + len(text.encode()), new, done)
