"""Find problems of a label config before labelers do, each with a suggested fix."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.controls import PROMPT_SHAPES, Label
from ml_backend.labelstudio.label_config import (
    Control,
    LabelConfig,
    brush_example,
    parse_label_config,
    refuse,
)
from ml_backend.labelstudio.label_matching import match_labels
from ml_backend.labelstudio.phrases import has_no_words, phrases_of, prompt_of
from ml_backend.labelstudio.prompts import BACKGROUND
from segmentation_backend.classes import NOT_LEARNED_YET, SYNONYMS
from segstudio.checks import CheckResult, Status
from segstudio.labelstudio.ml_backends import Classes

DEAD_TOOLS = frozenset({"brush", "brushlabels", "bitmask", "bitmasklabels", "magicwand"})
"""Tags whose smart tool Label Studio 1.23.2 shows, but never sends prompts for."""

SMART_TOOLS = DEAD_TOOLS | {"keypoint", "keypointlabels", "rectangle", "rectanglelabels"}
"""Tags with a smart tool in Label Studio 1.23.2 (read in the page's code)."""

_WITHOUT_BRUSH: dict[str, tuple[Status, str]] = {
    "polygon": ("note", "without BrushLabels, masks become polygons"),
    "vector": ("note", "without BrushLabels, masks become closed vectors"),
    "ellipse": ("warning", "without BrushLabels, masks become ellipses: their shape is lost"),
    "rectangle": ("warning", "without BrushLabels, masks become boxes: their shape is lost"),
    "keypoint": ("warning", "without BrushLabels, masks become points: their shape is lost"),
}


def lint(label_config: str, classes: Classes) -> list[CheckResult]:
    """Check a label config against both backends.

    Args:
        label_config: Label config as XML.
        classes: Classes of the garment model; without names, classes are not checked.

    Returns:
        Findings about tags. ``error``: a backend refuses the label config; ``warning``: something
        is ignored or lost; ``note``: it works, but may not be intended.
    """
    try:
        config = parse_label_config(label_config)
    except LabelConfigError as error:
        return [CheckResult("XML", "error", error.message, error.hint or "fix it at that place")]
    if wrong := config.wrong_targets():
        found = [CheckResult(each.where, "error", each.text, each.fix) for each in wrong]
    else:
        found = [
            *_refused(config, classes),
            *_masks(config),
            *_ignored_smart(config),
            *_lost_labels(config, classes),
            *(_words(config) if classes.text_prompts else _classes(config, classes)),
            *_doubles(config),
            *_attributes(config),
            *_hints(config),
            *_text_prompts(config, classes),
        ]
    return [each if each.line else _at_its_line(each, config) for each in found]


def _at_its_line(finding: CheckResult, config: LabelConfig) -> CheckResult:
    return replace(finding, line=config.lines.get(finding.subject, 0))


def label_table(label_config: str, classes: Classes) -> list[tuple[str, str, str]]:
    """Return each label that masks may have, with the classes mapped to it and its smart tools.

    Raises:
        LabelConfigError: No control takes masks.
    """
    config = parse_label_config(label_config)
    refuse(config.problems_for_masks())
    images = config.mask_images()
    labels = [label for image in images for label in config.mask_labels(image)]
    reached = _reached(labels, classes)
    tools = [tool for tool in config.smart_tools() if tool.to_name in images]
    return [
        (
            value,
            ", ".join(found),
            ", ".join(dict.fromkeys(tool.name for tool in tools if _has(tool, value))),
        )
        for value, found in reached.items()
    ]


def _reached(labels: Sequence[Label], classes: Classes) -> dict[str, Sequence[str]]:
    """Label → the classes that become it, or the phrases that a model looks for."""
    if classes.text_prompts:
        return {label.value: phrases_of(label) for label in reversed(labels)}
    assigned = match_labels(classes.names, labels, SYNONYMS)
    return {
        value: [classes.names[i] for i, label in assigned.items() if label == value]
        for value in dict.fromkeys(label.value for label in labels)
    }


def _refused(config: LabelConfig, classes: Classes) -> Iterator[CheckResult]:
    for_prompts = config.problems_for_prompts(reads_text=classes.typed_prompts)
    for each in dict.fromkeys((*config.problems_for_masks(), *for_prompts)):
        fix = each.fix
        if not any(map(config.suggestion_controls, config.images)):
            brush = brush_example(next(iter(config.images)))
            fix = f"add {brush}; a project of codes alone is made with --no-backends"
        yield CheckResult(each.where, "error", each.text, fix)


def _masks(config: LabelConfig) -> Iterator[CheckResult]:
    masks = [config.mask_controls(), *map(config.mask_controls, config.prompted_images())]
    for mask in dict.fromkeys(controls[0] for controls in masks if controls):
        if mask.shape in _WITHOUT_BRUSH:
            level, problem = _WITHOUT_BRUSH[mask.shape]
            yield CheckResult(mask.name, level, problem, f"add {brush_example(mask.to_name)}")


def _ignored_smart(config: LabelConfig) -> Iterator[CheckResult]:
    for control in {each.name: each for each in config.controls}.values():
        name, kind, smart = control.name, control.type, control.smart_attribute
        tag = config.tags[name]
        if smart and kind not in SMART_TOOLS:
            problem = f"Label Studio has no smart tool for {tag}: smart is ignored"
            fix = "use KeyPointLabels or RectangleLabels for the smart tools"
            yield CheckResult(name, "warning", problem, fix)
        elif smart is False and any(label.smart for label in control.labels):
            problem = 'smart="true" on a Label means nothing while its control has smart="false"'
            yield CheckResult(name, "warning", problem, f'write <{tag} smart="true" …>')
        elif smart and kind in PROMPT_SHAPES and not config.labels_of(control):
            problem = "it has no labels, so a suggestion of it has none"
            yield CheckResult(name, "warning", problem, f"use {tag}Labels with <Label> tags")
        elif kind in DEAD_TOOLS and smart is not False:
            problem = "its smart tool does nothing: Label Studio asks no backend with it"
            yield CheckResult(name, "warning", problem, f'write <{tag} smart="false" …>')


def _lost_labels(config: LabelConfig, classes: Classes) -> Iterator[CheckResult]:
    if config.problems_for_prompts(reads_text=classes.typed_prompts):
        return
    for tool in config.smart_tools():
        lost, masks = config.lost_labels(tool), config.suggestion_controls(tool.to_name)
        if not masks:
            problem = f"no control takes masks on {tool.to_name}: its suggestions are refused"
            yield CheckResult(tool.name, "warning", problem, f"add {brush_example(tool.to_name)}")
        elif lost:
            mask = masks[0].name
            problem = f"{mask} has no label {', '.join(lost)}: suggestions of it are refused"
            yield CheckResult(tool.name, "warning", problem, f"add the same <Label> tags to {mask}")


def _classes(config: LabelConfig, classes: Classes) -> Iterator[CheckResult]:
    images = config.mask_images()
    labels = [label for image in images for label in config.mask_labels(image)]
    names = classes.names
    if not labels and images and not config.has_dynamic_labels:
        problem = "regions have no labels, so that none can be predicted"
        fix = f'add <Labels name="label" toName="{images[0]}"> with <Label> tags'
        yield CheckResult(config.mask_controls()[0].name, "error", problem, fix)
    if not labels or not names:
        return
    reached = match_labels(names, labels, SYNONYMS)
    values = dict.fromkeys(label.value for label in labels)
    lost = [value for value in values if value not in reached.values()]
    if not lost:
        return
    free = [names[i] for i in range(1, len(names)) if i not in reached] or names[1:]
    example = f'<Label value="{lost[0]}" predicted_values="{free[0]}"/>'
    control = config.mask_controls()[0].name
    served = reached or config.has_dynamic_labels  # a task's own labels may be known
    if classes.learning and not served:
        fix = f"nothing has to be done; if one of them means the same as a class, write {example}"
        yield CheckResult(control, "warning", NOT_LEARNED_YET, fix)
        return
    yield CheckResult(
        control,
        "warning" if served else "error",
        f"no class of {classes.source} becomes {', '.join(lost)}; "
        f"{'free are' if served else 'it knows'} {', '.join(free)}",
        f"if one of them means the same, write {example}; else labelers draw it"
        if served
        else f"write e.g. {example}",
    )


def _words(config: LabelConfig) -> Iterator[CheckResult]:
    """Labels that say nothing to a model which finds what they name."""
    for name in config.mask_images():
        for control in config.mask_controls(name):
            for label in filter(has_no_words, control.labels):
                problem = f"{label.value} is no English word, and is what the model looks for"
                fix = f'write <Label value="{label.value}" prompt="..."/> with a noun phrase'
                where = control.labels_from or control.name
                yield CheckResult(where, "warning", problem, fix, label.line)


def _doubles(config: LabelConfig) -> Iterator[CheckResult]:
    """Yield hotkeys that select two labels, and labels that differ only in case."""
    keys: dict[str, str] = {}
    for control in {each.name: each for each in config.controls}.values():
        values: dict[str, str] = {}
        for label in control.labels:
            key, value = label.hotkey.casefold(), label.value.casefold()
            if key and key in keys:
                problem = f"the key {label.hotkey} of {label.value} is that of {keys[key]} too"
                fix = "give one of them another key"
                yield CheckResult(control.name, "warning", problem, fix, label.line)
            elif key:
                keys[key] = label.value
            if value in values:
                problem = f"{label.value} and {values[value]} differ only in case"
                fix = "keep one: the backends take both for the same label"
                yield CheckResult(control.name, "warning", problem, fix, label.line)
            values[value] = label.value


_NUMBERS = {"polygon_tolerance": "0 or more pixels", "max_points": "3 or more"}


def _attributes(config: LabelConfig) -> Iterator[CheckResult]:
    """Yield attributes that the backends cannot parse."""
    for control in {each.name: each for each in config.controls}.values():
        for name, meaning in _NUMBERS.items():
            if name in control.attributes and getattr(control.options, name) is None:
                problem = f'{name}="{control.attributes[name]:.40}" is ignored'
                yield CheckResult(control.name, "warning", problem, f"write a number, {meaning}")
        is_asked = control.type == "textarea" and control.name == "status" and control.smart
        if is_asked and control.to_name in config.images:
            problem = "what the labeler enters in it is sent to the backends, which ignore it"
            yield CheckResult(control.name, "warning", problem, 'write smart="false"')


def _hints(config: LabelConfig) -> Iterator[CheckResult]:
    for image in config.images.values():
        if image.attributes.get("rotatecontrol", "").lower() == "true":
            problem = (
                "regions drawn in a turned view say so, and some exporters turn or leave them out"
            )
            fix = "export with segstudio export, which reads them right, or leave out rotateControl"
            yield CheckResult(image.name, "note", problem, fix)
    for control in config.smart_tools():
        background = next(
            (each for each in control.labels if each.value.casefold() == BACKGROUND), None
        )
        if background is not None and control.shape == "keypoint":
            problem = (
                f"a click with {background.value} takes away from the object of the click before"
            )
            fix = "Alt+click does the same without a label"
            yield CheckResult(control.name, "note", problem, fix, background.line)
    for control in config.controls:
        if control.dynamic and control.type != "choices":
            problem = f"its labels are those of each task (${control.dynamic}): not checked here"
            fix = "give them the names of classes, or predicted_values"
            yield CheckResult(control.name, "note", problem, fix)


def _text_prompts(config: LabelConfig, classes: Classes) -> Iterator[CheckResult]:
    """Yield findings that concern SAM 3 only."""
    sam3 = "with SAM_MODEL=sam3 in the sam backend; other models"
    for control in {each.name: each for each in config.controls}.values():
        if control in config.typed_prompts():
            yield CheckResult(
                control.name, "note", f"typed prompts are answered {sam3} find nothing", _SMART
            )
        if config.is_exemplar(control.name):
            if control.shape == "rectangle":
                problem = f"boxes are examples {sam3} take them for ordinary boxes"
                yield CheckResult(control.name, "note", problem, "leave out exemplar elsewhere")
            else:
                problem = 'exemplar="true" is ignored: only boxes are examples'
                fix = "write it on a Rectangle or RectangleLabels"
                yield CheckResult(control.name, "warning", problem, fix)
        asks = control.type == "choices" and any(map(prompt_of, control.labels))
        if asks and control.to_name in config.images and not classes.text_prompts:
            problem = "choices with a prompt are predicted with SEGMENTATION_MODEL=sam3 alone"
            yield CheckResult(control.name, "note", problem, "leave out prompt elsewhere")


_SMART = 'write smart="false" where the text is no prompt'


def _has(control: Control, value: str) -> bool:
    return any(label.value.casefold() == value.casefold() for label in control.labels)
