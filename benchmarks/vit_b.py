"""Segment Anything's ViT-B with random weights, compared with its own predictor and a plain design.

Random weights are as fast as trained ones. Our backend and the plain design are apps in this
process around one model.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import torch
from flask import Flask
from segment_anything import (  # type: ignore[import-untyped]
    SamPredictor as MetaPredictor,
)
from segment_anything import build_sam_vit_b

import ml_backend.serving.app
from benchmarks.measure import Figure, in_turns
from benchmarks.plain import OneImage, plain_app, serving
from benchmarks.studio import Studio, clicked, jpeg, open_studio
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.lru import LruCache
from ml_backend.models.blocks import fast_dtype
from sam_backend.models.base import Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.segment_anything import SegmentAnything
from sam_backend.predictor import SamPredictor
from sam_backend.settings import SamSettings
from synthetic.people import draw_figure
from tests.support.waiting import eventually

HEIGHT, WIDTH = 1500, 1000
CLICKS_EACH = 3


def measure(folder: Path, turns: int) -> Iterator[Figure]:
    """Measure the network, then two labelers who click in turns, each on their own image.

    Args:
        folder: Folder for the image cache.
        turns: Number of paired clicks; the slow encoding is timed in few.
    """
    torch.manual_seed(0)
    sam = build_sam_vit_b()
    model = SegmentAnything(sam, "vit_b-random", fast_dtype("cpu"))
    yield from _network(model, MetaPredictor(sam), turns)
    yield _two_labelers("vit_b", model, folder / "vit_b")
    yield _two_labelers("embedded", EmbeddedPromptableModel.load(), folder / "embedded")


def _network(model: SegmentAnything, meta: MetaPredictor, turns: int) -> Iterator[Figure]:
    image = draw_figure(0, HEIGHT, WIDTH).image
    name = "SamPredictor"
    pairs = in_turns(lambda _: model.embed(image), lambda _: meta.set_image(image), 2, warm_up=0)
    yield pairs.times("vit_b: encode an image", name)
    embedding = model.embed(image).to_float16()

    def click(turn: int) -> None:
        model.segment(embedding, Prompts(points=(Point(300 + turn, 700),)))

    def meta_click(turn: int) -> None:
        meta.predict(np.array([[300 + turn, 700]]), np.array([1]))

    yield in_turns(click, meta_click, turns).times("vit_b: answer a click", name)


def _two_labelers(name: str, model: PromptableModel, folder: Path) -> Figure:
    with ExitStack() as stack:
        studio = stack.enter_context(open_studio())
        ours = stack.enter_context(serving(_our_app(model, studio.url, folder)))
        eventually(lambda: ours.get("/readyz").status_code == 200)
        plain = stack.enter_context(serving(plain_app(OneImage(model, studio.url))))
        images = _images(studio)
        pairs = in_turns(
            lambda turn: _click(ours, images, turn),
            lambda turn: _click(plain, images, turn),
            2 * CLICKS_EACH,
            warm_up=0,
        )
        return pairs.times(f"{name}: two labelers in turns", "one predictor, one image")


def _our_app(model: PromptableModel, studio_url: str, folder: Path) -> Flask:
    images = ImageSource(ImageSettings(image_cache_dir=folder, label_studio_url=studio_url))
    predictor = SamPredictor(model, images, LruCache(1 << 28))
    return ml_backend.serving.app.create_app(lambda: predictor, SamSettings())


def _images(studio: Studio) -> list[str]:
    return [studio.upload(jpeg(seed, HEIGHT, WIDTH)) for seed in (1, 2)]


def _click(client: httpx.Client, images: list[str], turn: int) -> None:
    body = clicked(images[turn % 2], [(50 + turn, 50, True)])
    client.post("/predict", json=body).raise_for_status()
