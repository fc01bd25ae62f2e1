"""Frames put the network's answer back in its place, however far they reach beyond the picture."""

import tracemalloc

import cv2
import numpy as np
import pytest

from sam_backend.models.base import Box
from sam_backend.models.frames import Frame


@pytest.mark.parametrize(
    "frame", [Frame(10, 20, 300, 210), Frame(-50, -80, 500, 300), Frame(100, 90, 130, 120)], ids=str
)
def test_a_pasted_answer_is_the_resized_one_where_the_picture_is(frame: Frame) -> None:
    noise = np.random.default_rng(1).normal(size=(192, 192)).astype(np.float32)
    answer = np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.float32)
    whole = frame.paste(answer, (200, 320), -12)
    span = (frame.right - frame.left, frame.bottom - frame.top)
    expected = cv2.resize(answer, span, interpolation=cv2.INTER_LINEAR)
    top, left = max(frame.top, 0), max(frame.left, 0)
    bottom, right = min(frame.bottom, 200), min(frame.right, 320)
    part = expected[top - frame.top : bottom - frame.top, left - frame.left : right - frame.left]
    assert np.abs(whole[top:bottom, left:right] - part).max() < 0.01
    outside = np.ones(whole.shape, np.bool_)
    outside[top:bottom, left:right] = False
    assert (whole[outside] == -12).all()


def test_a_frame_far_larger_than_the_picture_costs_no_more_than_the_picture() -> None:
    frame = Frame.around(Box(0, 0, 2000, 1500), 3.4)
    answer = np.zeros((192, 192), np.float32)
    tracemalloc.start()
    frame.paste(answer, (1500, 2000), -12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 4 * 1500 * 2000
