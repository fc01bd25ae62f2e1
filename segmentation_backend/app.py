"""WSGI app of the segmentation backend."""

from functools import partial

from flask import Flask

import ml_backend.serving.app
from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.images import ImageSource
from ml_backend.models.device import choose_device
from ml_backend.serving.logs import configure_logging
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.settings import read_settings
from segmentation_backend.learning.requests import note_event, request_again
from segmentation_backend.learning.serving import LearnedModels
from segmentation_backend.learning.store import LearnedVersion, learned_folder
from segmentation_backend.models.base import SegmentationModel, WithStore
from segmentation_backend.models.registry import load_model
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.prewarm_client import PrewarmClient
from segmentation_backend.settings import SegmentationSettings


def create_app() -> Flask:
    """Create the app from the environment's settings; the model loads in the background."""
    settings = read_settings(SegmentationSettings)
    configure_logging(settings.log_level)
    metrics = Metrics()
    counts = EmbeddingMetrics(metrics)
    url = settings.sam_prewarm_url
    prewarm_client = PrewarmClient(url, settings.login, metrics) if url else None

    def load() -> SegmentationPredictor:
        return load_predictor(settings, prewarm_client, counts)

    note = partial(note_event, learned_folder(settings.models_dir)) if settings.learns else None
    return ml_backend.serving.app.create_app(load, settings, metrics, note)


def load_predictor(
    settings: SegmentationSettings,
    prewarm_client: PrewarmClient | None = None,
    metrics: EmbeddingMetrics | None = None,
) -> SegmentationPredictor:
    """Load and warm the model that the settings name.

    Args:
        settings: Settings of the backend.
        prewarm_client: Client that announces the tasks of each batch; None: nothing is announced.
        metrics: Counters; None: nothing is counted.

    Raises:
        ModelError: The weights are unusable.
    """
    metrics = metrics or EmbeddingMetrics()
    model = load_model(settings)
    if isinstance(model, WithStore):
        model = model.with_store(settings, metrics)
    images = ImageSource(settings, tell=metrics.shared.image_cache_trouble)
    root = learned_folder(settings.models_dir)

    def load_learned(version: LearnedVersion) -> SegmentationModel:
        from segmentation_backend.learning.project_model import load_project_model

        return load_project_model(version.model, model, choose_device(settings))

    return SegmentationPredictor(
        model,
        images,
        settings,
        prewarm_client,
        LearnedModels(root, load_learned, settings.learned_in_memory, partial(request_again, root)),
        learns=settings.learns,
    )
