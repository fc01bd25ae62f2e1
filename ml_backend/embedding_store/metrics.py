"""Counters of the embedding store."""

from ml_backend.serving.metrics import Metrics


class EmbeddingMetrics:
    """Counters of one app.

    Args:
        metrics: Metrics of the app; None: nothing is published.

    Attributes:
        shared: Metrics that both backends have.
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
            "Embedding store errors: damaged entries dropped, failed writes, Redis unreachable",
            "tier",
            "kind",
        )

    def came_from(self, source: str) -> None:
        """Count the source of an embedding."""
        self._embeddings.labels(source).inc()

    def trouble(self, tier: str, kind: str) -> None:
        """Count a failure of a tier of the store."""
        self._trouble.labels(tier, kind).inc()
