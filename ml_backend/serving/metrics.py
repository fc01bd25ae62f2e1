"""Prometheus metrics of a backend."""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90)


class Metrics:
    """Counters of one app.

    With several workers they add up across processes through the files of
    ``PROMETHEUS_MULTIPROC_DIR``, which ``prometheus_client`` reads when it is first imported.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = self.counter(
            "segstudio_requests_total", "Requests answered", "endpoint", "status"
        )
        self.seconds = Histogram(
            "segstudio_request_seconds",
            "Time to answer",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.tasks = self.counter(
            "segstudio_tasks_total",
            "Tasks by outcome: predicted, none, or the kind of error",
            "outcome",
        )
        self._model_failures = self.counter(
            "segstudio_model_failures_total",
            "Times that the model could not be loaded, by the kind of error",
            "kind",
        )
        self._image_cache_trouble = self.counter(
            "segstudio_image_cache_trouble_total",
            "Files of the cache of images dropped because damaged, writes that failed (full)",
            "kind",
        )

    def model_failed(self, kind: str) -> None:
        """The model could not be loaded."""
        self._model_failures.labels(kind).inc()

    def image_cache_trouble(self, kind: str) -> None:
        """The cache of images failed in some way; the images came all the same."""
        self._image_cache_trouble.labels(kind).inc()

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """One more counter, of a backend's own."""
        return Counter(name, meaning, labels, registry=self._registry)

    def render(self) -> bytes:
        """The exposition text."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)
        return generate_latest(everyone)
