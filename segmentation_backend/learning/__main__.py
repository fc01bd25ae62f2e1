"""``python -m segmentation_backend.learning``: the learner, or one command of it."""

import sys

from ml_backend.extras import exit_without_extra

exit_without_extra("server")

from segmentation_backend.learning.commands import main  # noqa: E402 - imports checked packages

sys.exit(main())
