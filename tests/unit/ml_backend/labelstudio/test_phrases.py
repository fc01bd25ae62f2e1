"""Labels as the texts that a model is asked for."""

import pytest

from ml_backend.labelstudio.controls import Label
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.phrases import has_no_words, phrases_in, phrases_of


@pytest.mark.parametrize(
    ("tag", "phrases"),
    [
        ('value="Dress"', ("dress",)),
        ('value="scarf-gloves"', ("scarf", "gloves")),
        ('value="bag/belt"', ("bag", "belt")),
        ('value="red_car"', ("red car",)),
        ('value="UpperBody"', ("upper body",)),
        ('value="T-shirt"', ("t-shirt",)),
        ('value="Coat" alias="c1"', ("coat",)),
        ('value="Tailleur"', ("women's suit",)),
        ('value="jersey-shirt"', ("t-shirt",)),
        ('value="Gown" predicted_values="dress,evening dress"', ("dress", "evening dress")),
        ('value="x" predicted_values="dress" prompt=" scarf; glove ;"', ("scarf", "glove")),
        ('value="x" prompt=" "', ("x",)),
        ('value="-"', ("-",)),
    ],
)
def test_a_label_is_asked_for_by_prompt_predicted_values_or_name(
    tag: str, phrases: tuple[str, ...]
) -> None:
    assert phrases_of(label(tag)) == phrases


@pytest.mark.parametrize("name", ["lbl_3", "class 1", "qz", "X", "-", "bag/b2", "платье"])
def test_names_that_are_no_words_are_known(name: str) -> None:
    assert has_no_words(label(f'value="{name}"'))
    assert not has_no_words(label(f'value="{name}" prompt="dress"'))
    assert not has_no_words(label(f'value="{name}" predicted_values="dress"'))


@pytest.mark.parametrize("name", ["t-shirt", "Tailleur", "scarf-gloves", "red_car", "gym top"])
def test_names_that_are_words_are_known(name: str) -> None:
    assert not has_no_words(label(f'value="{name}"'))


def test_a_typed_text_holds_phrases() -> None:
    assert phrases_in(" shoes; red bag ;") == ("shoes", "red bag")
    assert phrases_in(" ; ") == ()


def label(tag: str) -> Label:
    config = parse_label_config(
        '<View><Image name="i" value="$image"/>'
        f'<BrushLabels name="b" toName="i"><Label {tag}/></BrushLabels></View>'
    )
    (found,) = config.mask_labels()
    return found
