"""Card of a learned version: training images, figures, contact sheet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np

from ml_backend.errors import TaskError
from segmentation_backend.learning.example import IGNORE, Example, Indices, LearningSet, Pixels
from segmentation_backend.learning.outcome import Figures
from segmentation_backend.learning.store import CARD, LearnedVersion, write_json

CONTACT_SHEET = "contact-sheet.png"

_TILES, _COLUMNS = 12, 4
_TILE = 192
"""Pixels along each side of a tile."""


def write_card(
    version: LearnedVersion,
    data: LearningSet,
    figures: Figures,
    *,
    classes: Sequence[str],
    started_from: str,
) -> None:
    """Write ``card.json``, ``card.md`` and the contact sheet into the version's folder.

    Args:
        version: Version to describe.
        data: Examples that it learned from.
        figures: Measured figures.
        classes: Classes of the model, the background first.
        started_from: Model version that served before.
    """
    card: dict[str, Any] = {
        "version": version.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "started_from": started_from,
        "classes": list(classes),
        "images": len(data.examples),
        "annotators": _annotators(data.examples),
        "figures": figures_record(figures),
    }
    write_json(version.folder / CARD, card)
    (version.folder / "card.md").write_text(_markdown(card, figures))
    sheet = _contact_sheet(data)
    (version.folder / CONTACT_SHEET).write_bytes(
        cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()
    )


def figures_record(figures: Figures) -> dict[str, Any]:
    """Return figures as JSON, including the means over labels."""
    return {**asdict(figures), "old": figures.old, "new": figures.new}


def show_iou(value: float | None) -> str:
    """Return a human-readable IoU."""
    return "-" if value is None else f"{value:.2f}"


def _annotators(examples: Sequence[Example]) -> dict[str, int]:
    """Return how many images each annotator contributed to."""
    found: dict[str, int] = {}
    for example in examples:
        for name in example.annotators:
            found[name] = found.get(name, 0) + 1
    return found


def _markdown(card: Mapping[str, Any], figures: Figures) -> str:
    how = "cross-validated" if figures.cross_validated else "images that no run learns from"
    rows = [
        f"| {each.label} | {each.images} | {show_iou(each.old)} | {show_iou(each.new)} | "
        f"{each.source} |"
        for each in figures.labels
    ]
    people = ", ".join(f"{name} ({count})" for name, count in card["annotators"].items())
    return "\n".join(
        [
            f"# {card['version']}",
            "",
            f"Learned {card['made']} from {figures.learned_from} of {card['images']} annotated "
            f"images, starting from {card['started_from']}.",
            f"Annotators: {people}.",
            "",
            f"IoU on {figures.held_out} images ({how}); mean {show_iou(figures.old)} before, "
            f"{show_iou(figures.new)} now.",
            "",
            "| label | images | before | now | found by |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"![Annotated images that it learned from]({CONTACT_SHEET})",
            "",
        ]
    )


def _contact_sheet(data: LearningSet) -> Pixels:
    """Return (H, W, 3) uint8 RGB: some of the images with their annotations painted on them."""
    step = max(len(data.examples) // _TILES, 1)
    tiles = []
    for example in data.examples[::step][:_TILES]:
        try:
            tiles.append(_tile(*example.load()))
        except TaskError:
            continue  # reported when the model learned
    blank = np.full((_TILE, _TILE, 3), 255, np.uint8)
    tiles += [blank] * (-len(tiles) % _COLUMNS or (0 if tiles else _COLUMNS))
    rows = [np.hstack(tiles[at : at + _COLUMNS]) for at in range(0, len(tiles), _COLUMNS)]
    sheet: Pixels = np.vstack(rows)
    return sheet


def _tile(pixels: Pixels, indices: Indices) -> Pixels:
    height, width = indices.shape
    scale = _TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    labels = cv2.resize(indices, size, interpolation=cv2.INTER_NEAREST)
    drawn = (labels != 0) & (labels != IGNORE)
    hues = (labels.astype(np.uint16) * 47 % 180).astype(np.uint8)
    full = np.full_like(hues, 255)
    colours = cv2.cvtColor(np.dstack([hues, full, full]), cv2.COLOR_HSV2RGB)
    small[drawn] = small[drawn] // 2 + colours[drawn] // 2
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    tile[: size[1], : size[0]] = small
    return tile
