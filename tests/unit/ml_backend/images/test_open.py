"""Fetching without decoding: what a backend needs that may know the image already."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import ImageDecodeError
from ml_backend.images import ImageSettings, ImageSource
from tests.support.http_server import Reply, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]


@pytest.fixture
def source(settings: Make, server: Server) -> ImageSource:
    return ImageSource(settings(allowed_image_hosts=(server.host,)))


def test_an_opened_image_has_the_digest_and_the_pixels_of_a_loaded_one(
    source: ImageSource, server: Server
) -> None:
    server.replies["/a.png"] = Reply(body=png())
    opened, loaded = source.open(f"{server.url}/a.png"), source.load(f"{server.url}/a.png")
    assert opened.digest == loaded.digest
    assert np.array_equal(opened.decode(), loaded.pixels)


def test_an_image_that_is_never_decoded_is_fetched_once(
    source: ImageSource, server: Server
) -> None:
    server.replies["/a.png"] = Reply(body=png())
    digests = {source.open(f"{server.url}/a.png").digest for _ in range(3)}
    assert len(digests) == len(server.requests) == 1


def test_what_cannot_be_decoded_is_fetched_again_and_left_nowhere(
    source: ImageSource, server: Server, tmp_path: Path
) -> None:
    server.replies["/a.png"] = Reply(body=b"<html>please log in</html>")
    with pytest.raises(ImageDecodeError):
        source.open(f"{server.url}/a.png").decode()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    server.replies["/a.png"] = Reply(body=png())
    assert source.open(f"{server.url}/a.png").decode().shape == (4, 6, 3)
