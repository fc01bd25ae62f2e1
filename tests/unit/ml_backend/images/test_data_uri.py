"""data: references."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageDecodeError, ImageError, ImageReferenceError
from ml_backend.images import NO_TASK, ImageSettings, ImageSource
from ml_backend.images.base import Fetched
from ml_backend.images.data_uri import DataUri
from ml_backend.images.settings import MIB
from tests.support.pictures import png

BASE64 = base64.b64encode(png()).decode()


@pytest.fixture
def source(settings: Callable[..., ImageSettings]) -> ImageSource:
    return ImageSource(settings(max_image_mb=10_000 / MIB))


@pytest.mark.parametrize(
    "reference",
    [
        f"data:image/png;base64,{BASE64}",
        f"DATA:Image/PNG;Base64,{BASE64}",
        f"data:image/png;name=a.png;base64,{BASE64}",
        f"  data:image/jpeg;base64,{BASE64}\n",
        f"data:image/png;base64,{BASE64.rstrip('=')}",
        f"data:image/png;base64,{quote(BASE64, safe='')}",
        f"data:image/png;base64,{BASE64[:20]}\r\n {BASE64[20:]}",
        f"data:image/png,{quote(png())}",
    ],
)
def test_the_image_is_in_the_reference(reference: str, source: ImageSource) -> None:
    assert source.load(reference).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize(
    "reference",
    [
        "data:",
        "data:image/png",
        "data:image/png;base64",
        f"data:;base64,{BASE64}",
        f"data:text/html;base64,{BASE64}",
        f"data:image/png;base64,{BASE64}!",
        "data:image/png;base64,a",
        "data:image/png;base64,ü",
    ],
)
def test_a_malformed_data_uri_says_how_it_should_look(reference: str, source: ImageSource) -> None:
    with pytest.raises(ImageReferenceError) as caught:
        source.load(reference)
    assert "data:image/png;base64" in caught.value.hint
    assert BASE64 not in str(caught.value)


@pytest.mark.parametrize("payload", [";base64," + "A" * 13_400, "," + "A" * 10_001])
def test_a_large_data_uri_is_refused(payload: str, source: ImageSource) -> None:
    with pytest.raises(ImageDecodeError, match=r"more than 0\.01 MB"):
        source.load(f"data:image/png{payload}")


def test_an_svg_is_not_accepted(source: ImageSource) -> None:
    with pytest.raises(ImageDecodeError, match="SVG"):
        source.load("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>")


@given(st.binary(max_size=200))
def test_any_bytes_survive_base64_and_percent_encoding(data: bytes) -> None:
    encoded = base64.b64encode(data).decode()
    for reference in (f"data:image/x;base64,{encoded}", f"data:image/x,{quote(data)}"):
        location = DataUri(max_bytes=200).locate(reference, NO_TASK)
        assert location is not None
        assert location.fetch(Deadline.after(1), "") == Fetched(data)
        assert location.lifetime == 0


@given(st.text())
def test_any_data_uri_is_an_image_or_an_image_error(rest: str) -> None:
    try:
        location = DataUri(max_bytes=10).locate(f"data:{rest}", NO_TASK)
        assert location is not None
        location.fetch(Deadline.after(1), "")
    except ImageError:
        pass
