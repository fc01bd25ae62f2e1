"""The outcome as a folder: two tables and a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path

from segstudio.agreement.chart import draw_chart
from segstudio.agreement.compare import ChoiceAgreement, Comparison, MaskAgreement
from segstudio.data.atomic_files import new_folder

INDEX = "agreement.csv"
"""In the folder: a row for each measure of each control, choice and label."""

IMAGES = "images.csv"
"""In the folder: all images that were compared, those that people disagree on most first."""

CHART = "agreement.png"
"""In the folder."""


def write_agreement(
    path: Path,
    comparison: Comparison,
    choices: Sequence[ChoiceAgreement],
    masks: Sequence[MaskAgreement],
) -> None:
    """Write the folder; it replaces one of an earlier run.

    Raises:
        TableError: It cannot be written, or there is something else in its place.
    """
    with new_folder(path, INDEX) as folder:
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
