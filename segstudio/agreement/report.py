"""Collect the measures of an agreement, and write them to a folder."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_backend.labelstudio.annotations import LabeledProject
from segstudio.agreement.annotation_store import AnnotationStore
from segstudio.agreement.chart import draw_chart
from segstudio.agreement.compare import (
    ChoiceAgreement,
    Comparison,
    Disagreement,
    MaskAgreement,
    choice_agreement,
)
from segstudio.data.atomic_files import atomic_folder

INDEX = "agreement.csv"
"""File in the folder: a row for each measure of each control, choice and label."""

IMAGES = "images.csv"
"""File in the folder: all compared images, the highest disagreement first."""

CHART = "agreement.png"
"""File in the folder: the bar chart."""


@dataclass(frozen=True)
class Agreement:
    """Inter-annotator agreement.

    Attributes:
        images: Number of images with annotations of two raters or more.
        raters: Names of all raters.
        choices: Measures of each control and choice.
        masks: Measures of each label.
        most_disagreement: Images with the highest disagreement, in that order.
        mismatched: Identifiers of images whose masks have different sizes and are not compared.
    """

    images: int
    raters: Sequence[str]
    choices: Sequence[ChoiceAgreement]
    masks: Sequence[MaskAgreement]
    most_disagreement: Sequence[Disagreement]
    mismatched: Sequence[str]


def measure_agreement(
    store: AnnotationStore, comparison: Comparison, projects: Iterable[LabeledProject], top: int
) -> Agreement:
    """Return all measures of a comparison that has run.

    Args:
        store: Annotations that were compared.
        comparison: Comparison of the masks and answers in ``store``.
        projects: Projects whose choice controls are measured.
        top: Number of images in ``most_disagreement``.
    """
    controls = {
        control.name: control
        for project in projects
        for control in project.controls
        if control.type == "choices"
    }
    return Agreement(
        images=len(store),
        raters=store.raters(),
        choices=[each for c in controls.values() for each in choice_agreement(store, c)],
        masks=comparison.masks(),
        most_disagreement=list(comparison.images(top)),
        mismatched=comparison.mismatched,
    )


def write_agreement(path: Path, comparison: Comparison, agreement: Agreement) -> None:
    """Write the folder, replacing that of an earlier run.

    Raises:
        TableError: The folder cannot be written, or ``path`` is something else.
    """
    choices, masks = agreement.choices, agreement.masks
    with atomic_folder(path, INDEX) as folder:
        with (folder / INDEX).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("control", "label", "measure", "value", "count"))
            for each in choices:
                rows.writerow((each.control, each.choice, "kappa", each.kappa, each.images))
                rows.writerow((each.control, each.choice, "alpha", each.alpha, each.images))
            for mask in masks:
                rows.writerow(("", mask.label, "iou", mask.iou, mask.pairs))
                rows.writerow(("", mask.label, "boundary_f", mask.boundary_f, mask.pairs))
        with (folder / IMAGES).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("identifier", "disagreement", "worst"))
            rows.writerows((i.identifier, i.score, i.worst) for i in comparison.images())
        draw_chart(folder / CHART, choices, masks)
