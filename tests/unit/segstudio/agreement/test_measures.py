import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segstudio.agreement.measures import boundary_f, cohen_kappa, krippendorff_alpha

MISSING = -1


def test_kappa_of_the_textbook() -> None:
    """Cohen's example as Wikipedia tells it: 50 applications, kappa 0.4."""
    first = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(np.array([first, second])) == pytest.approx(0.4)


def test_kappa_of_three_values() -> None:
    """Fleiss, Statistical Methods for Rates and Proportions, 2003, table 18.1: kappa 0.676."""
    counts = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    first, second = np.indices(counts.shape).reshape(2, -1).repeat(counts.ravel(), axis=1)
    assert cohen_kappa(np.array([first, second])) == pytest.approx(0.676, abs=5e-4)


@pytest.mark.parametrize(("second", "kappa"), [([0, 1, 2], 1.0), ([1, 1, 1], 0.0)])
def test_kappa_of_raters_who_agree_in_all_and_by_chance_alone(
    second: list[int], kappa: float
) -> None:
    assert cohen_kappa(np.array([[0, 1, 2], second])) == pytest.approx(kappa)


def test_alpha_of_the_textbook() -> None:
    """Krippendorff's example as Wikipedia tells it: three coders, 15 units, alpha 0.691."""
    __ = MISSING
    codes = np.array(
        [
            [__, __, __, __, __, 3, 4, 1, 2, 1, 1, 3, 3, __, 3],
            [1, __, 2, 1, 3, 3, 4, 3, __, __, __, __, __, __, __],
            [__, __, 2, 1, 3, 4, 4, __, 2, 1, 1, 3, 3, __, 4],
        ]
    )
    assert krippendorff_alpha(codes) == pytest.approx(0.691, abs=5e-4)


def test_kappa_of_three_raters_is_the_mean_over_pairs_by_their_images() -> None:
    a, b = [0, 1, 0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 1, 0, 0, 1]
    c = [0, 1, 1, 0] + [MISSING] * 4
    codes = np.array([a, b, c])
    ab, ac, bc = (cohen_kappa(codes[list(pair)]) for pair in ((0, 1), (0, 2), (1, 2)))
    assert ab is not None
    assert ac is not None
    assert bc is not None
    assert cohen_kappa(codes) == pytest.approx((8 * ab + 4 * ac + 4 * bc) / 16)


@pytest.mark.parametrize(
    "codes", [[[1, 1, 1], [1, 1, 1]], [[0, 1, MISSING], [MISSING, MISSING, 1]], [[0, 1, 0]]]
)
def test_agreement_is_undefined_where_chance_explains_all_or_nobody_shares(
    codes: list[list[int]],
) -> None:
    assert cohen_kappa(np.array(codes)) is None
    assert krippendorff_alpha(np.array(codes)) is None


def square(left: int, top: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    mask = np.zeros((300, 400), bool)
    mask[top : top + size, left : left + size] = True
    return mask


def test_outlines_within_the_tolerance_match_and_others_do_not() -> None:
    near = 4  # 0.008 of the diagonal of 500 pixels
    assert boundary_f(square(100, 100, 80), square(100 + near, 100, 80)) == 1
    far = boundary_f(square(100, 100, 80), square(100 + near + 1, 100, 80))
    assert 0.5 < far < 0.55, "two sides of four do not match, but for what is near the corners"
    assert boundary_f(square(10, 10, 50), square(200, 200, 50)) == 0


def test_a_hole_costs_the_outline_more_than_the_area() -> None:
    whole, holed = square(100, 100, 100), square(100, 100, 100)
    holed[125:175, 125:175] = False
    assert boundary_f(whole, holed) == pytest.approx(2 * 1 / (1 + 396 / (396 + 200)) * 396 / 596)


def test_an_empty_mask_matches_an_empty_one_alone() -> None:
    empty = np.zeros((300, 400), bool)
    assert boundary_f(empty, empty) == 1
    assert boundary_f(empty, square(1, 1, 9)) == 0


@given(hnp.arrays(bool, (12, 17)), hnp.arrays(bool, (12, 17)))
def test_boundary_f_is_symmetric_within_bounds_and_one_for_the_same(
    first: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    second: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> None:
    assert boundary_f(first, second) == pytest.approx(boundary_f(second, first))
    assert 0 <= boundary_f(first, second) <= 1
    assert boundary_f(first, first) == 1


@given(st.integers(0, 40), st.integers(0, 40))
def test_where_in_the_image_two_masks_lie_does_not_matter(down: int, right: int) -> None:
    here = boundary_f(square(100, 100, 60), square(107, 103, 60))
    there = boundary_f(square(100 + right, 100 + down, 60), square(107 + right, 103 + down, 60))
    assert there == pytest.approx(here)
