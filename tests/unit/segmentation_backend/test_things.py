"""Class maps as instances: what is one thing, and what is two."""

import cv2
import numpy as np
import pytest

from segmentation_backend.models.base import ClassMap, Instance, pack_instances, unpack_instances
from segmentation_backend.models.things import class_instances

CLASSES = ("background", "skin", "dress", "shoe", "bag")
SCORES = np.array([0, 0.5, 0.8, 0.6, 0.7], np.float32)
SKIN, DRESS, SHOE, BAG = 1, 2, 3, 4


def person(canvas: np.ndarray, left: int) -> None:
    """Draw a head, a dress, legs and two shoes, 40 pixels wide."""
    canvas[5:15, left + 15 : left + 25] = SKIN
    canvas[15:60, left + 5 : left + 35] = DRESS
    canvas[60:80, left + 8 : left + 14] = SKIN
    canvas[60:80, left + 26 : left + 32] = SKIN
    canvas[80:86, left + 4 : left + 14] = SHOE
    canvas[80:86, left + 26 : left + 36] = SHOE


def found(indices: np.ndarray) -> dict[str, list[Instance]]:
    instances = class_instances(
        ClassMap(indices, SCORES), CLASSES, countable=["bag"], pairs=["shoe"], bodies=["skin"]
    )
    named: dict[str, list[Instance]] = {}
    for instance in instances:
        named.setdefault(CLASSES[instance.class_index], []).append(instance)
    return named


@pytest.fixture
def canvas() -> np.ndarray:
    return np.zeros((100, 120), np.uint8)


def test_two_shoes_are_two_things_and_the_dress_is_one(canvas: np.ndarray) -> None:
    person(canvas, 10)
    things = found(canvas)
    assert [len(things["dress"]), len(things["shoe"])] == [1, 2]
    left, right = things["shoe"]
    assert not (left.mask & right.mask).any()
    assert np.array_equal(left.mask | right.mask, canvas == SHOE)


def test_shoes_that_touch_are_cut_at_the_narrowest_place(canvas: np.ndarray) -> None:
    person(canvas, 10)
    canvas[82:85, 24:36] = SHOE
    left, right = found(canvas)["shoe"]
    assert [left.left, right.left + right.crop.shape[1]] == [14, 46]
    assert abs(left.area - right.area) < 20
    assert np.array_equal(left.mask | right.mask, canvas == SHOE)


def test_shoes_with_little_between_them_are_cut_in_the_middle(canvas: np.ndarray) -> None:
    cv2.circle(canvas, (40, 60), 20, SHOE, -1)
    cv2.circle(canvas, (58, 60), 20, SHOE, -1)  # the neck is 36 pixels high
    left, right = found(canvas)["shoe"]
    assert [left.left + left.crop.shape[1], right.left] == [pytest.approx(49, abs=2)] * 2


def test_a_shoe_without_a_neck_is_one_thing(canvas: np.ndarray) -> None:
    canvas[50:60, 20:70] = SHOE
    assert len(found(canvas)["shoe"]) == 1


def test_two_bags_are_two_things_and_a_bag_behind_an_arm_is_one(canvas: np.ndarray) -> None:
    canvas[40:60, 5:25] = canvas[40:60, 80:100] = BAG
    assert len(found(canvas)["bag"]) == 2
    canvas[40:60] = 0
    canvas[40:60, 5:35] = BAG
    canvas[48:54, 5:35] = SKIN
    assert len(found(canvas)["bag"]) == 1


def test_a_dress_that_an_arm_cuts_in_two_is_one_thing(canvas: np.ndarray) -> None:
    person(canvas, 10)
    canvas[30:36, 10:60] = SKIN
    (dress,) = found(canvas)["dress"]
    assert np.array_equal(dress.mask, canvas == DRESS)


def test_a_strap_of_a_shoe_belongs_to_the_shoe_that_is_nearest(canvas: np.ndarray) -> None:
    person(canvas, 10)
    canvas[76:78, 36:42] = SHOE
    left, right = found(canvas)["shoe"]
    assert (left.area, right.area) == (60, 72)


def test_two_people_have_a_dress_each(canvas: np.ndarray) -> None:
    person(canvas, 5)
    person(canvas, 65)
    things = found(canvas)
    assert [len(things["dress"]), len(things["shoe"])] == [2, 4]


def test_a_dress_on_a_hanger_is_no_second_person(canvas: np.ndarray) -> None:
    person(canvas, 5)
    canvas[15:60, 70:100] = DRESS
    assert len(found(canvas)["dress"]) == 1


def test_left_and_right_shoe_are_separate_even_if_they_touch() -> None:
    indices = np.array([[0, 1, 1, 2, 2, 0]], np.uint8)
    scores = np.array([0, 0.5, 0.7], np.float32)
    names = ("background", "Left-shoe", "Right-shoe")
    assert [i.separate for i in class_instances(ClassMap(indices, scores), names)] == [True, True]


def test_an_empty_map_has_no_instances(canvas: np.ndarray) -> None:
    assert found(canvas) == {}


def test_instances_survive_the_way_to_another_process(canvas: np.ndarray) -> None:
    person(canvas, 10)
    instances = [each for things in found(canvas).values() for each in things]
    received = unpack_instances(pack_instances(instances))
    for sent, got in zip(instances, received, strict=True):
        assert np.array_equal(sent.mask, got.mask)
        assert (sent.class_index, sent.score, sent.separate) == (
            got.class_index,
            got.score,
            got.separate,
        )
