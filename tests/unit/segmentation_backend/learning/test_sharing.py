"""Which labels are left to the shipped model."""

from segmentation_backend.learning.sharing import Share
from tests.support.learning_figures import figures


def share(left: str, whole: str = "") -> Share:
    return Share(frozenset(left.split()), frozenset(whole.split()))


def test_a_label_is_left_where_the_shipped_model_is_clearly_better() -> None:
    head = figures(cup=(0, 0.2), hat=(0, 0.5), pin=(0, None), jar=(0, 0.9))
    assert Share.of({"cup": 0.3, "hat": 0.52, "pin": 0.1}, head) == share("cup pin")


def test_a_share_that_is_promoted_is_not_revised() -> None:
    head, found = figures(cup=(0.3, 0.2), hat=(0, 0.4)), figures(cup=(0.3, 0.25), hat=(0, 0.4))
    assert share("cup").revised({"cup": 0.3}, head, found) == share("cup")


def test_a_label_that_the_head_alone_finds_better_goes_back_to_it() -> None:
    head = figures(cup=(0.3, 0.2), hat=(0.3, 0.2), pin=(0, 0.5))
    found = figures(cup=(0.3, 0.1), hat=(0.3, 0.2), pin=(0, 0.5))
    assert share("cup hat").revised({"cup": 0.3, "hat": 0.3}, head, found) == share("hat")


def test_a_good_label_that_falls_gives_way_no_more() -> None:
    head = figures(cup=(0.8, 0.6), hat=(0.3, 0.1), pin=(0, 0.5))
    found = figures(cup=(0.8, 0.7), hat=(0.3, 0.1), pin=(0, 0.5))
    shipped = {"cup": 0.8, "hat": 0.3}
    assert share("cup").revised(shipped, head, found) == share("cup", "cup")
    assert share("").revised(shipped, head, head) == share("cup", "cup")


def test_what_loses_clearly_gives_way_no_more_if_the_model_would_still_be_refused() -> None:
    head = figures(cup=(0.4, 0.3), hat=(0.3, 0.2), pin=(0.3, 0.28))
    shipped = {"cup": 0.4, "hat": 0.3, "pin": 0.3}
    assert share("cup").revised(shipped, head, head) == share("cup hat", "cup hat")


def test_what_loses_at_all_gives_way_no_more_if_the_model_would_still_be_refused() -> None:
    head = figures(cup=(0.3, 0.2), hat=(0.3, 0.28), pin=(0.3, 0.3))
    found = figures(cup=(0.3, 0.3), hat=(0.3, 0.28), pin=(0.3, 0.3))
    shipped = {"cup": 0.3, "hat": 0.3, "pin": 0.3}
    assert share("cup", "cup").revised(shipped, head, found) == share("cup hat", "cup hat")
    last = figures(cup=(0.3, 0.3), hat=(0.3, 0.3), pin=(0.3, 0.3))
    assert share("cup hat", "cup hat").revised(shipped, head, last) == share("cup hat", "cup hat")


def test_what_falls_below_a_learned_model_is_not_left_to_a_worse_shipped_model() -> None:
    head = figures(cup=(0.9, 0.5))
    assert share("").revised({"cup": 0.4}, head, head) == share("")
