"""``python -m segmentation_backend``: serve until told to stop."""

from ml_backend.serving.gunicorn import serve
from segmentation_backend.settings import SegmentationSettings

serve("segmentation_backend.app:create_app()", SegmentationSettings)
