"""A model that loads, does not, or does the next time."""

import threading
from typing import cast

import pytest

from ml_backend.errors import BusyError, ModelError, SegstudioError
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.serving import model_loader
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.model_loader import ModelLoader
from tests.support.one_box import OneBox
from tests.support.waiting import eventually


class Weights:
    """Fails to load until they are put right; each try waits until it is let go."""

    def __init__(self) -> None:
        self.right = False
        self.tries = 0
        self.go = threading.Semaphore(0)

    def load(self) -> Predictor:
        self.tries += 1
        assert self.go.acquire(timeout=60)
        if not self.right:
            raise ModelError(f"damaged, seen in try {self.tries}")
        return cast(Predictor, OneBox())


def said(loading: ModelLoader) -> str:
    """What a caller is told; nothing when it is ready."""
    try:
        loading.predictor()
    except SegstudioError as error:
        return error.message
    return ""


@pytest.fixture
def weights() -> Weights:
    return Weights()


def test_a_model_that_failed_is_tried_again_and_the_reason_told_meanwhile(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_loader, "RETRY_SECONDS", 0)
    metrics = Metrics()
    attempt = ModelLoader(weights.load, metrics)
    with pytest.raises(BusyError):
        attempt.predictor()
    weights.go.release()
    eventually(lambda: said(attempt) != "the model is loading" and weights.tries == 2, 60)
    assert 'segstudio_model_failures_total{kind="model"} 1.0' in metrics.render().decode()
    assert said(attempt) == "damaged, seen in try 1"
    weights.right = True
    weights.go.release()
    eventually(lambda: said(attempt) == "", 60)
    assert weights.tries == 2


def test_it_is_not_tried_again_at_once(weights: Weights) -> None:
    attempt = ModelLoader(weights.load, Metrics())
    weights.go.release(9)
    eventually(lambda: said(attempt) == "damaged, seen in try 1", 60)
    assert {said(attempt) for _ in range(100)} == {"damaged, seen in try 1"}
    assert weights.tries == 1
