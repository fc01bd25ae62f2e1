"""Labels as the texts that a model is asked for."""

import pytest

from ml_backend.labelstudio.label_config import parse_label_config
from segmentation_backend.phrases import phrases_of


@pytest.mark.parametrize(
    ("tag", "phrases"),
    [
        ('value="Dress"', ("dress",)),
        ('value="scarf-gloves"', ("scarf", "gloves")),
        ('value="bag/belt"', ("bag", "belt")),
        ('value="red_car"', ("red car",)),
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
    config = parse_label_config(
        '<View><Image name="i" value="$image"/>'
        f'<BrushLabels name="b" toName="i"><Label {tag}/></BrushLabels></View>'
    )
    (label,) = config.mask_labels()
    assert phrases_of(label) == phrases
