"""Counters of the sam backend, in addition to requests and tasks."""

from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.serving.metrics import Metrics


class SamMetrics(EmbeddingMetrics):
    """Counters of one app.

    Args:
        metrics: Metrics of the app; None: nothing is published.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        super().__init__(metrics)
        self._prewarmed = self.shared.counter(
            "segstudio_prewarm_tasks_total",
            "Tasks to prewarm by outcome: made, kept (was there), dropped, or the kind of error",
            "outcome",
        )

    def prewarmed(self, outcome: str, count: int = 1) -> None:
        """Count outcomes of prewarmed tasks."""
        self._prewarmed.labels(outcome).inc(count)
