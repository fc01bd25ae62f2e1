from ml_backend.geometry import Box, Point
from ml_backend.labelstudio.prompts import Context
from sam_backend.models.base import Prompts
from sam_backend.region_target import prompts_from_context

LEFT = Box(0.0, 0.0, 0.25, 0.5)
RIGHT = Box(0.75, 0.0, 1.0, 0.5)


def objects(*boxes: Box, points: tuple[Point, ...] = ()) -> list[Prompts]:
    return prompts_from_context(Context("Shirt", "image", boxes, points), height=100, width=400)


def test_a_box_is_given_in_pixels() -> None:
    assert objects(RIGHT) == [Prompts(Box(300, 0, 400, 50))]


def test_points_alone_show_one_object_in_the_order_they_were_made() -> None:
    points = (Point(0.5, 0.5), Point(0.1, 0.2, positive=False), Point(0.9, 0.9))
    assert objects(points=points) == [
        Prompts(points=(Point(200, 50), Point(40, 20, positive=False), Point(360, 90)))
    ]


def test_each_box_shows_an_object_and_a_point_belongs_to_the_box_around_it() -> None:
    left, right = objects(LEFT, RIGHT, points=(Point(0.1, 0.1), Point(0.8, 0.1)))
    assert left == Prompts(Box(0, 0, 100, 50), (Point(40, 10),))
    assert right == Prompts(Box(300, 0, 400, 50), (Point(320, 10),))


def test_a_positive_point_outside_of_every_box_extends_the_nearest() -> None:
    left, right = objects(LEFT, RIGHT, points=(Point(0.7, 0.6),))
    assert left.points == ()
    assert right.points == (Point(280, 60),)


def test_a_negative_point_takes_away_from_everything() -> None:
    left, right = objects(LEFT, RIGHT, points=(Point(0.1, 0.1, positive=False),))
    assert left.points == right.points == (Point(40, 10, positive=False),)


def test_a_point_on_the_far_edge_lies_in_the_last_pixel() -> None:
    (prompts,) = objects(points=(Point(1.0, 1.0),))
    assert prompts.points == (Point(399.5, 99.5),)
