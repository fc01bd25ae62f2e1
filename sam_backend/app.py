"""WSGI app of the interactive backend."""

from flask import Flask

import ml_backend.serving.app
from ml_backend.embedding_store.tiers import open_store
from ml_backend.images import ImageSource
from ml_backend.serving.logs import configure_logging
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.settings import read_settings
from sam_backend import routes
from sam_backend.concepts import ConceptFinder
from sam_backend.embedding_codec import EmbeddingCodec
from sam_backend.metrics import SamMetrics
from sam_backend.models.base import WithConcepts
from sam_backend.models.registry import load_model
from sam_backend.predictor import SamPredictor
from sam_backend.prewarming import Prewarmer
from sam_backend.settings import SamSettings
from sam_backend.upcoming_tasks import upcoming_tasks


def create_app() -> Flask:
    """Create the app from the environment's settings; the model loads in the background."""
    settings = read_settings(SamSettings)
    configure_logging(settings.log_level)
    metrics = Metrics()
    counts = SamMetrics(metrics)
    prewarmer = Prewarmer(counts, upcoming_tasks(settings))

    def load() -> SamPredictor:
        predictor = load_predictor(settings, counts)
        prewarmer.start(predictor)
        return predictor

    app = ml_backend.serving.app.create_app(load, settings, metrics)
    app.extensions[routes.EXTENSION] = prewarmer
    app.register_blueprint(routes.blueprint)
    return app


def load_predictor(settings: SamSettings, metrics: SamMetrics | None = None) -> SamPredictor:
    """Load and warm the model that the settings name, and open the embedding store.

    Args:
        settings: Settings of the backend.
        metrics: Counters; None: nothing is counted.

    Raises:
        ModelError: The weights are unusable.
        SettingsError: The image settings are invalid.
    """
    model = load_model(settings)
    metrics = metrics or SamMetrics()
    images = ImageSource(settings, tell=metrics.shared.image_cache_trouble)
    pixels = settings.max_image_pixels
    store = open_store(settings, EmbeddingCodec(model, pixels), metrics)
    concepts = model.concepts if isinstance(model, WithConcepts) else None
    finder = (
        ConceptFinder(concepts, store.of(EmbeddingCodec(concepts, pixels))) if concepts else None
    )
    return SamPredictor(model, images, store, finder)
