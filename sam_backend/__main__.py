"""``python -m sam_backend``: serve until SIGTERM."""

from ml_backend.extras import exit_without_extra

exit_without_extra("server")

from ml_backend.serving.gunicorn import serve  # noqa: E402 - imports checked packages
from sam_backend.settings import SamSettings  # noqa: E402

serve("sam_backend.app:create_app()", SamSettings)
