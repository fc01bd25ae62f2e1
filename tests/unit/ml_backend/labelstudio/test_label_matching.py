from ml_backend.labelstudio.label_config import Label
from ml_backend.labelstudio.label_matching import match_labels

CLASSES = ("background", "skin", "jacket", "jersey shirt", "pants", "bag-belt", "dress")


def match(*labels: Label | str) -> dict[int, str]:
    """Match to labels; a jersey shirt may be called a tee or a top, a jacket a top."""
    synonyms = {"jersey shirt": ("tee", "top"), "jacket": ("top",)}
    made = [label if isinstance(label, Label) else Label(label) for label in labels]
    return match_labels(CLASSES, made, synonyms)


def test_equal_names_meet_whatever_their_case_and_joints() -> None:
    found = match("Jersey_Shirt", "BAG / BELT", "Dress")
    assert found == {3: "Jersey_Shirt", 5: "BAG / BELT", 6: "Dress"}


def test_synonyms_match_and_the_nearest_name_wins() -> None:
    assert match("Car") == {}
    assert match("Top") == {2: "Top", 3: "Top"}
    assert match("Top", "Tee") == {2: "Top", 3: "Tee"}
    assert match("Top", "Tee", "jersey shirt")[3] == "jersey shirt"


def test_predicted_values_come_first() -> None:
    assert match(Label("Gown", ("dress",)), "dress")[6] == "Gown"


def test_several_classes_may_share_a_label() -> None:
    assert match(Label("clothes", ("jacket", "pants"))) == {2: "clothes", 4: "clothes"}


def test_the_background_never_gets_a_label() -> None:
    assert match("background") == {}
