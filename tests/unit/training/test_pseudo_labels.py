"""What tags make of a network's answer: they choose among garments, and miss some."""

import numpy as np
import numpy.typing as npt

from training.data import Folder, presence
from training.garment_samples import DISPUTED, UNKNOWN, load_labelled
from training.pseudo_labels import least_shares, sure_labels
from training.taxonomy import CLASSES

DRESS, SKIRT, COAT, SCARF = map(CLASSES.index, ("dress", "skirt", "coat", "scarf-gloves"))
NOTHING_LEAST = np.zeros(len(CLASSES))


def answer(shares: dict[int, float], side: int = 12) -> npt.NDArray[np.float32]:
    """(C, side, side) probabilities: these in the lower half, background in the upper one."""
    chances = np.zeros((len(CLASSES), side, side), np.float32)
    chances[0] = 1
    for number, share in shares.items():
        chances[number, side // 2 :] = share
    chances[0, side // 2 :] = shares.get(0, 0.0)
    return chances


def test_tags_choose_among_garments() -> None:
    chances = answer({0: 0.3, DRESS: 0.5, SKIRT: 0.2})
    labels = sure_labels(chances, presence([SKIRT]), NOTHING_LEAST)
    assert (labels[8:] == SKIRT).all()
    assert (labels[:4] == 0).all()


def test_a_garment_whose_tag_is_missing_does_not_become_background() -> None:
    chances = answer({0: 0.3, DRESS: 0.68, SKIRT: 0.02})
    labels = sure_labels(chances, presence([SKIRT]), NOTHING_LEAST)
    assert (labels[8:] == DISPUTED).all()


def test_a_tagged_class_that_is_hardly_found_gets_the_least_it_has() -> None:
    chances = answer({COAT: 0.95, SCARF: 0.05})
    chances[COAT, 6:, :6], chances[SCARF, 6:, :6] = 0.85, 0.15
    tags = presence([COAT, SCARF])
    assert not (sure_labels(chances, tags, NOTHING_LEAST) == SCARF).any()
    least = NOTHING_LEAST.copy()
    least[SCARF] = 0.1
    labels = sure_labels(chances, tags, least)
    assert (labels[8:, :5] == SCARF).all()
    assert (labels[8:, 7:] == COAT).all()


def test_the_least_of_a_class_is_small_among_the_masks_that_have_it(drawn_folder: Folder) -> None:
    examples = load_labelled(drawn_folder, drawn_folder.photographs()[:6])
    least = least_shares(examples)
    present = np.stack([example.tags for example in examples]).any(0)
    assert ((least > 0) == present).all()
    skin = CLASSES.index("skin")
    shares = [(example.labels == skin).mean() for example in examples]
    assert min(shares) <= least[skin] <= float(np.median(shares))
    assert UNKNOWN not in np.unique(examples[0].labels)
