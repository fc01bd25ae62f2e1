"""Decoded images of all requests together are bounded, and nobody waits for ever."""

import gc
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from ml_backend.errors import DeadlineExceededError, ImageDecodeError
from ml_backend.images.decode import decode
from ml_backend.images.pixel_budget import PixelBudget


def photograph(side: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 50).convert("RGB").save(file, "PNG")
    return file.getvalue()


def test_an_image_takes_its_pixels_of_the_room_as_long_as_it_is_held() -> None:
    room = PixelBudget(250, 0.01)
    held = [decode(photograph(10), 1000, room) for _ in range(2)]
    with pytest.raises(DeadlineExceededError, match="timed out waiting for decode memory"):
        decode(photograph(10), 1000, room)
    part = held.pop()[:5]
    with pytest.raises(DeadlineExceededError):
        decode(photograph(10), 1000, room)
    del part
    gc.collect()
    assert decode(photograph(10), 1000, room).shape == (10, 10, 3)


def test_one_that_is_larger_than_the_room_has_it_to_itself() -> None:
    room = PixelBudget(50, 0.01)
    held = decode(photograph(10), 1000, room)
    with pytest.raises(DeadlineExceededError):
        decode(photograph(2), 1000, room)
    del held
    gc.collect()
    assert decode(photograph(2), 1000, room).shape == (2, 2, 3)


def test_a_damaged_image_gives_its_room_back() -> None:
    room = PixelBudget(100, 0.01)
    data = photograph(10)
    for _ in range(3):
        with pytest.raises(ImageDecodeError):
            decode(data[: len(data) // 2], 1000, room)
    assert decode(data, 1000, room).shape == (10, 10, 3)


def test_whoever_waits_gets_the_room_that_becomes_free() -> None:
    room = PixelBudget(100, 30)
    held = [decode(photograph(10), 1000, room)]
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(decode, photograph(10), 1000, room)
        held.clear()
        gc.collect()
        assert waiting.result(20).shape == (10, 10, 3)
