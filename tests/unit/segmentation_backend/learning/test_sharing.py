"""Which labels are left to the shipped model."""

from segmentation_backend.learning.sharing import Share
from tests.support.learning_figures import figures


def share(left: str, whole: str = "") -> Share:
    return Share(frozenset(left.split()), frozenset(whole.split()))


def test_a_label_is_left_where_the_shipped_model_is_clearly_better() -> None:
    head = figures(cup=(0, 0.2), hat=(0, 0.5), pin=(0, None), jar=(0, 0.9))
    assert Share.of({"cup": 0.3, "hat": 0.52, "pin": 0.1}, head) == share("cup pin")


def test_a_share_that_loses_nothing_is_not_revised() -> None:
    head, found = figures(cup=(0.3, 0.2), hat=(0, 0.4)), figures(cup=(0.3, 0.25), hat=(0, 0.4))
    assert share("cup").revised(found, head) == share("cup")


def test_a_good_label_that_gives_way_too_much_gives_way_no_more() -> None:
    head, found = figures(cup=(0.8, 0.6), hat=(0, 0.4)), figures(cup=(0.8, 0.7), hat=(0, 0.5))
    assert share("cup").revised(found, head) == share("cup", "cup")
    assert share("cup", "cup").revised(found, head) == share("cup", "cup")


def test_a_label_that_the_head_alone_finds_better_goes_back_to_it() -> None:
    head, found = figures(cup=(0.3, 0.2), hat=(0.3, 0.2)), figures(cup=(0.3, 0.1), hat=(0.3, 0.2))
    assert share("cup hat").revised(found, head) == share("hat")


def test_a_label_of_the_head_that_falls_is_not_left() -> None:
    head, found = figures(cup=(0.3, 0.2), hat=(0.9, 0.4)), figures(cup=(0.3, 0.3), hat=(0.9, 0.4))
    assert share("cup").revised(found, head) == share("cup")
