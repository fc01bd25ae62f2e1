"""What the sam backend counts beside requests and tasks."""

from ml_backend.serving.metrics import Metrics


class SamMetrics:
    """Counters of one app.

    Args:
        metrics: Where they are shown; None: nowhere.

    Attributes:
        shared: What both backends count.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.shared = metrics = metrics or Metrics()
        self._embeddings = metrics.counter(
            "segstudio_embeddings_total",
            "Embeddings by where they came from: memory, disk, redis or the model",
            "source",
        )
        self._trouble = metrics.counter(
            "segstudio_embedding_store_trouble_total",
            "Entries dropped because damaged, writes that failed, Redis gone",
            "tier",
            "kind",
        )
        self._prewarmed = metrics.counter(
            "segstudio_prewarm_tasks_total",
            "Tasks to prewarm by outcome: made, kept (was there), dropped, or the kind of error",
            "outcome",
        )

    def came_from(self, source: str) -> None:
        """One embedding was had."""
        self._embeddings.labels(source).inc()

    def trouble(self, tier: str, kind: str) -> None:
        """A tier of the store failed in some way, and the others went on."""
        self._trouble.labels(tier, kind).inc()

    def prewarmed(self, outcome: str, count: int = 1) -> None:
        """Tasks came to an end of their way through prewarming."""
        self._prewarmed.labels(outcome).inc(count)
