import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from ml_backend.deadline import Deadline
from ml_backend.errors import DeadlineExceededError, ImageDecodeError
from ml_backend.lru import LruCache
from sam_backend.embedding_service import EmbeddingKey, EmbeddingService
from sam_backend.models.base import Embedding
from tests.support.scenes import FillModel, Pixels, draw, soon, wait_until

SCENE = draw([(30, 30, 10)])
SIZE = SCENE.nbytes

Store = LruCache[str, Embedding]


def key(name: str) -> EmbeddingKey:
    return EmbeddingKey(name, FillModel.version)


def test_an_image_is_embedded_once_however_many_clicks_wait_for_it() -> None:
    model = FillModel()
    model.may_embed.clear()
    embeddings = EmbeddingService(model, Store(1 << 20))
    with ThreadPoolExecutor(20) as pool:
        get = embeddings.get_or_compute
        waiting = [pool.submit(get, key("a"), lambda: SCENE, soon()) for _ in range(20)]
        wait_until(lambda: bool(model.embedded))
        model.may_embed.set()
        results = {id(future.result()) for future in waiting}
    assert len(model.embedded) == 1
    assert len(results) == 1


def test_a_kept_embedding_needs_no_decoding() -> None:
    embeddings = EmbeddingService(FillModel(), Store(1 << 20))
    first = embeddings.get_or_compute(key("a"), lambda: SCENE, soon())

    def decode() -> Pixels:
        raise AssertionError("decoded a second time")

    assert embeddings.get_or_compute(key("a"), decode, soon()) is first


def test_embeddings_unused_for_longest_make_room() -> None:
    model = FillModel()
    embeddings = EmbeddingService(model, Store(2 * SIZE))
    for name in ("a", "b", "a", "c", "a", "b"):
        embeddings.get_or_compute(key(name), lambda: SCENE, soon())
    assert len(model.embedded) == 4  # a, b, c, and b once more


def test_with_no_room_at_all_every_click_is_still_answered() -> None:
    model = FillModel()
    embeddings = EmbeddingService(model, Store(0))
    for _ in range(2):
        assert embeddings.get_or_compute(key("a"), lambda: SCENE, soon()).height == SCENE.shape[0]
    assert len(model.embedded) == 2


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    model = FillModel()
    embeddings = EmbeddingService(model, Store(1 << 20))
    begun, go_on = threading.Event(), threading.Event()

    def broken() -> Pixels:
        begun.set()
        assert go_on.wait(30)
        raise ImageDecodeError("damaged")

    with ThreadPoolExecutor(5) as pool:
        get = embeddings.get_or_compute
        waiting = [pool.submit(get, key("a"), broken, soon()) for _ in range(5)]
        assert begun.wait(30)
        go_on.set()
        for future in waiting:
            with pytest.raises(ImageDecodeError):
                future.result()
    assert embeddings.get_or_compute(key("a"), lambda: SCENE, soon()).width == SCENE.shape[1]


def test_who_cannot_wait_any_longer_is_told_and_the_embedding_is_there_the_next_time() -> None:
    model = FillModel()
    model.may_embed.clear()
    embeddings = EmbeddingService(model, Store(1 << 20))

    class OnceBegun(Deadline):
        def remaining(self) -> float:
            wait_until(lambda: bool(model.embedded))
            return 0.01

    with pytest.raises(DeadlineExceededError, match="try again"):
        embeddings.get_or_compute(key("a"), lambda: SCENE, OnceBegun(0))
    model.may_embed.set()
    assert np.array_equal(
        embeddings.get_or_compute(key("a"), lambda: SCENE, soon()).tensors["image"], SCENE
    )
    assert len(model.embedded) == 1


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    model = FillModel()
    model.may_embed.clear()
    embeddings = EmbeddingService(model, Store(1 << 20))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(embeddings.get_or_compute, key("a"), lambda: SCENE, soon())
        wait_until(lambda: bool(model.embedded))
        with pytest.raises(DeadlineExceededError):
            embeddings.get_or_compute(key("b"), lambda: SCENE, Deadline.after(0.05))
        model.may_embed.set()
        first.result()
    embeddings.get_or_compute(key("c"), lambda: SCENE, soon())
    assert len(model.embedded) == 2  # a and c


def test_embeddings_are_made_one_at_a_time_and_each_of_its_own_image() -> None:
    alone = threading.Lock()

    class JealousModel(FillModel):
        def embed(self, image: Pixels) -> Embedding:
            assert alone.acquire(blocking=False)
            try:
                return super().embed(image)
            finally:
                alone.release()

    embeddings = EmbeddingService(JealousModel(), Store(1 << 20))
    with ThreadPoolExecutor(8) as pool:
        get = embeddings.get_or_compute
        waiting = [
            pool.submit(get, key(str(i)), partial(np.full_like, SCENE, i), soon())
            for i in range(24)
        ]
        for index, future in enumerate(waiting):
            assert (future.result().tensors["image"] == index).all()
