"""``python -m sam_backend``: serve until told to stop."""

from ml_backend.serving.gunicorn import serve
from sam_backend.settings import SamSettings

serve("sam_backend.app:create_app()", SamSettings)
