"""The drawn figures: the same seed, the same picture, and masks that mean what they say."""

import numpy as np
import pytest

from synthetic.people import draw_figure

LABELS = {"dress", "shirt", "jersey shirt", "pants", "skirt", "coat", "footwear", "hat", "bag-belt"}


def test_the_same_seed_draws_the_same_picture_and_another_seed_another() -> None:
    first, again, other = (
        draw_figure(5, 192, 128),
        draw_figure(5, 192, 128),
        draw_figure(6, 192, 128),
    )
    assert np.array_equal(first.image, again.image)
    assert all(np.array_equal(first.masks[name], again.masks[name]) for name in first.masks)
    assert not np.array_equal(first.image, other.image)


def test_every_garment_is_seen_and_all_labels_are_worn_by_somebody() -> None:
    figures = [draw_figure(seed, 192, 128) for seed in range(40)]
    assert all(mask.any() for figure in figures for mask in figure.masks.values())
    assert {name for figure in figures for name in figure.masks} == LABELS


def test_masks_never_overlap() -> None:
    for seed in range(10):
        figure = draw_figure(seed, 192, 128)
        owned = sum(m.astype(int) for m in (*figure.masks.values(), *figure.body.values()))
        assert np.max(owned) == 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 3), (65, 400), (200, 60)])
def test_any_size_can_be_drawn(height: int, width: int) -> None:
    figure = draw_figure(3, height, width)
    assert figure.image.shape == (height, width, 3)
    assert all(mask.shape == (height, width) for mask in figure.masks.values())


def test_a_garment_differs_from_what_surrounds_it() -> None:
    figure = draw_figure(1, 384, 256)
    skirt = figure.masks["skirt"] if "skirt" in figure.masks else figure.masks["dress"]
    around = ~skirt
    assert np.abs(figure.image[skirt].mean(0) - figure.image[around].mean(0)).max() > 5
