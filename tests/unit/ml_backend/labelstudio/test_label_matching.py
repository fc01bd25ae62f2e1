import pytest

from ml_backend.labelstudio.label_config import Label
from ml_backend.labelstudio.label_matching import EMBEDDED_CLASSES, match_labels
from segmentation_backend.models.embedded import EmbeddedGarmentModel

CLASSES = ("background", "skin", "jacket", "jersey shirt", "pants", "bag-belt", "dress")


def labels(*names: str) -> list[Label]:
    return [Label(name) for name in names]


def test_equal_names_meet_whatever_their_case_and_joints() -> None:
    found = match_labels(CLASSES, labels("Jersey_Shirt", "BAG / BELT", "Dress"))
    assert found == {3: "Jersey_Shirt", 5: "BAG / BELT", 6: "Dress"}


@pytest.mark.parametrize(
    ("label", "index"),
    [("Trousers", 4), ("Blazer", 2), ("T-Shirt", 3), ("Handbag", 5), ("Car", None)],
)
def test_synonyms_are_known(label: str, index: int | None) -> None:
    assert match_labels(CLASSES, labels(label)) == ({index: label} if index else {})


def test_the_nearest_name_wins() -> None:
    assert match_labels(CLASSES, labels("other tops", "T-shirt"))[3] == "T-shirt"


def test_predicted_values_come_first() -> None:
    found = match_labels(CLASSES, [Label("Gown", ("dress",)), Label("dress")])
    assert found[6] == "Gown"


def test_several_classes_may_share_a_label() -> None:
    assert match_labels(CLASSES, [Label("clothes", ("jacket", "pants"))]) == {
        2: "clothes",
        4: "clothes",
    }


def test_the_background_never_gets_a_label() -> None:
    assert match_labels(CLASSES, labels("background")) == {}


def test_the_classes_of_the_shipped_network_are_told_as_they_are() -> None:
    assert EmbeddedGarmentModel.load().classes == EMBEDDED_CLASSES
