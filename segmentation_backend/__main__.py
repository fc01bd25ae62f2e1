"""``python -m segmentation_backend``: serve until SIGTERM."""

from ml_backend.extras import exit_without_extra

exit_without_extra("server")

from ml_backend.serving.gunicorn import serve  # noqa: E402 - imports checked packages
from segmentation_backend.settings import SegmentationSettings  # noqa: E402

serve("segmentation_backend.app:create_app()", SegmentationSettings)
