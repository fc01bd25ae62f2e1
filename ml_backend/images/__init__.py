"""Turn a reference in ``task.data`` into one RGB array: ``ImageSource(settings).load(reference)``.

One module for each kind of source (``web``, ``label_studio_media``, ``gcs``, ``data_uri``), all
behind ``base.Source``. ``http`` and ``addresses`` decide which hosts may be contacted, ``decode``
what may be decoded; ``cache`` keeps copies on disk.
"""

from ml_backend.images.base import NO_TASK, TaskAccess
from ml_backend.images.credentials import decode_service_account
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings
from ml_backend.images.source import EncodedImage, Image, ImageSource

__all__ = [
    "NO_TASK",
    "EncodedImage",
    "Image",
    "ImageSettings",
    "ImageSource",
    "TaskAccess",
    "decode_service_account",
    "redact",
]
