"""Load a predictor in the background, once, and retry after a failure."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from ml_backend import __version__
from ml_backend.errors import BusyError, ModelError, SegstudioError
from ml_backend.extras import explain_missing_extras
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.serving.metrics import Metrics

RETRY_SECONDS = 10.0
"""Seconds from a failure to the next attempt, so that adding a missing file needs no restart."""

log = structlog.get_logger(__name__)


class ModelLoader:
    """Loads a predictor in its own thread; after a failure, retries when it is requested.

    Args:
        load: Function that loads and warms the model and returns its predictor.
        metrics: Metrics that count failures.
    """

    def __init__(self, load: Callable[[], Predictor], metrics: Metrics) -> None:
        self._load = load
        self._metrics = metrics
        self._lock = threading.Lock()
        self._failure: SegstudioError | None = None
        self._start_loading()

    def predictor(self) -> Predictor:
        """Return the loaded predictor.

        Raises:
            BusyError: The model is still loading.
            SegstudioError: The model could not be loaded; also raised during a retry.
        """
        with self._lock:
            if time.monotonic() >= self._retry_at:
                self._failure = _error_of(self._attempt)
                self._start_loading()
            attempt, failure = self._attempt, self._failure
        if attempt.done():
            failure = _error_of(attempt)
            if failure is None:
                return attempt.result()
        if failure is None:
            raise BusyError("the model is loading", "try again in a few seconds")
        # Raised once per request: without this its traceback would grow each time.
        raise failure.with_traceback(None)

    def _start_loading(self) -> None:
        self._retry_at = math.inf
        thread = ThreadPoolExecutor(1, thread_name_prefix="load-model")
        self._attempt = thread.submit(self._load_explained)
        self._attempt.add_done_callback(self._log_attempt)
        thread.shutdown(wait=False)

    def _load_explained(self) -> Predictor:
        with explain_missing_extras():
            return self._load()

    def _log_attempt(self, attempt: "Future[Predictor]") -> None:
        error = attempt.exception()
        if error is None:
            log.info("ready", model_version=attempt.result().model_version, version=__version__)
            return
        kind = error.kind if isinstance(error, SegstudioError) else "unexpected"
        self._metrics.model_failed(kind)
        trace = error if kind == "unexpected" else None
        log.error("model_failed", reason=str(error), exc_info=trace)
        self._retry_at = time.monotonic() + RETRY_SECONDS


def _error_of(attempt: "Future[Predictor]") -> SegstudioError | None:
    error = attempt.exception()
    if error is None or isinstance(error, SegstudioError):
        return error
    return ModelError(f"the model failed to load: {error!r}", "see the log for the traceback")
