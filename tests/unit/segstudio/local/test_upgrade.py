"""The line on the ready screen that names larger models."""

from collections.abc import Iterator

import pytest

from segstudio.labelstudio.ml_backends import BackendPair
from segstudio.local.upgrade import upgrade_line
from tests.support.http_server import Server, json_reply

SEGFORMER = (
    "SEGMENTATION_MODEL=segformer (109 MB, "
    "NVIDIA Source Code License for SegFormer (not for commercial use))"
)
SAM2 = "SAM_MODEL=sam2.1_tiny (156 MB, Apache-2.0)"


@pytest.fixture
def web() -> Iterator[Server]:
    with Server() as server:
        yield server


def serving(web: Server, *versions: str) -> BackendPair:
    """Two backends whose models have these versions."""
    for number, version in enumerate(versions):
        web.replies[f"/{number}/readyz"] = json_reply({"model_version": version})
    return BackendPair(f"{web.url}/0", f"{web.url}/1")


@pytest.mark.parametrize(
    ("versions", "offers"),
    [
        (("segmentation-embedded-4-ab", "embedded-3-cd"), f"{SEGFORMER}; {SAM2}"),
        (("segmentation-segformer-12", "embedded-3-cd"), SAM2),
        (("segmentation-embedded-4-ab", "sam-vit_l-9"), SEGFORMER),
    ],
)
def test_the_line_offers_what_the_embedded_models_could_be(
    web: Server, versions: tuple[str, str], offers: str
) -> None:
    expected = f"Larger models: {offers}; segstudio models list"
    assert upgrade_line(serving(web, *versions)) == expected


def test_where_larger_models_serve_or_nothing_does_there_is_no_line(web: Server) -> None:
    assert upgrade_line(serving(web, "segmentation-segformer-12", "sam-vit_l-9")) == ""
    assert upgrade_line(BackendPair("http://127.0.0.1:9", "http://127.0.0.1:9")) == ""
