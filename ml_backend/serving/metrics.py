"""Prometheus metrics of a backend."""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90)


class Metrics:
    """Counters of one app.

    With several workers they are summed across processes through the files of
    ``PROMETHEUS_MULTIPROC_DIR``, which ``prometheus_client`` reads when it is first imported.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = self.counter(
            "segstudio_requests_total", "Requests answered", "endpoint", "status"
        )
        self.seconds = Histogram(
            "segstudio_request_seconds",
            "Time to respond in seconds",
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
            "Failed attempts to load the model, by kind of error",
            "kind",
        )
        self._image_cache_trouble = self.counter(
            "segstudio_image_cache_trouble_total",
            "Image cache errors: damaged files dropped (damaged), failed writes (full)",
            "kind",
        )

    def model_failed(self, kind: str) -> None:
        """Count a failed attempt to load the model."""
        self._model_failures.labels(kind).inc()

    def image_cache_trouble(self, kind: str) -> None:
        """Count an error of the image cache, in spite of which the image was loaded."""
        self._image_cache_trouble.labels(kind).inc()

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Return a new counter for a backend's own use."""
        return Counter(name, meaning, labels, registry=self._registry)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)
        return generate_latest(everyone)
