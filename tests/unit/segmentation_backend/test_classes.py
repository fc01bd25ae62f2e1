import pytest

from ml_backend.labelstudio.label_config import Label
from ml_backend.labelstudio.label_matching import match_labels
from segmentation_backend.classes import EMBEDDED_CLASSES, SYNONYMS


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("Trousers", {"pants"}),
        ("Blazer", {"jacket"}),
        ("T-Shirt", {"jersey shirt"}),
        ("Handbag", {"bag-belt"}),
        ("Car", set()),
    ],
)
def test_synonyms_are_known(label: str, classes: set[str]) -> None:
    found = match_labels(EMBEDDED_CLASSES, [Label(label)], SYNONYMS)
    assert {EMBEDDED_CLASSES[index] for index in found} == classes


def test_the_nearest_name_wins() -> None:
    labels = [Label("other tops"), Label("T-shirt")]
    found = match_labels(EMBEDDED_CLASSES, labels, SYNONYMS)
    assert found[EMBEDDED_CLASSES.index("jersey shirt")] == "T-shirt"
