"""Plain design: a single predictor that holds the last image."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
from flask import Flask, request
from label_studio_sdk.converter import brush
from PIL import Image
from werkzeug.serving import make_server

from benchmarks.studio import Json
from sam_backend.models.base import Embedding, Mask, Point, PromptableModel, Prompts


class OneImage:
    """Answers clicks on the current image; another image replaces it.

    Args:
        model: Model, the same as that of the backend.
        studio_url: Address of the images' server.
    """

    def __init__(self, model: PromptableModel, studio_url: str) -> None:
        self._model = model
        self._studio_url = studio_url
        self._lock = threading.Lock()
        self._reference = ""
        self._embedding: Embedding | None = None

    def predict(self, reference: str, keypoints: list[Json]) -> Mask:
        """Return the mask of all points."""
        with self._lock:
            if self._embedding is None or reference != self._reference:
                self._embedding = self._model.embed(self._fetch(reference))
                self._reference = reference
            return self._model.segment(self._embedding, _prompts(self._embedding, keypoints))

    def _fetch(self, reference: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        content = httpx.get(self._studio_url + reference).raise_for_status().content
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _prompts(embedding: Embedding, keypoints: list[Json]) -> Prompts:
    across, down = embedding.width / 100, embedding.height / 100
    values = [(each["value"], each["is_positive"]) for each in keypoints]
    return Prompts(points=tuple(Point(v["x"] * across, v["y"] * down, sign) for v, sign in values))


def plain_app(predictor: OneImage) -> Flask:
    """Return an app with ``POST /predict`` for clicks, which uses the SDK's RLE."""
    app = Flask("plain")

    @app.post("/predict")
    def predict() -> Json:
        body = request.get_json()
        reference = body["tasks"][0]["data"]["image"]
        mask = predictor.predict(reference, body["params"]["context"]["result"])
        rle = brush.mask2rle(mask.pixels.astype(np.uint8) * 255)
        value = {"format": "rle", "rle": rle, "brushlabels": ["dress"]}
        return {"results": [{"result": [{"value": value}], "score": mask.score}]}

    return app


@contextmanager
def serving(app: Flask) -> Iterator[httpx.Client]:
    """Serve the app on a loopback port; yields a client for it."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=150) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
