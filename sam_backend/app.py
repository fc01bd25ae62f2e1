"""The interactive backend's WSGI app."""

from flask import Flask

import ml_backend.api
from ml_backend.images import ImageSource
from ml_backend.logs import configure_logging
from ml_backend.settings import read_settings
from sam_backend.models.registry import load_model
from sam_backend.predictor import SamPredictor
from sam_backend.settings import SamSettings
from sam_backend.stores.tiers import open_store


def create_app() -> Flask:
    """Make the app from the environment's settings; the model loads in the background."""
    settings = read_settings(SamSettings)
    configure_logging(settings.log_level)
    return ml_backend.api.create_app(lambda: load_predictor(settings), settings)


def load_predictor(settings: SamSettings) -> SamPredictor:
    """Load and warm the model that the settings ask for.

    Raises:
        ModelError: Its weights cannot be used.
        SettingsError: Images cannot be had with these settings.
    """
    model = load_model(settings)
    return SamPredictor(model, ImageSource(settings.image_settings), open_store(settings, model))
