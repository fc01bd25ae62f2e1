"""Basic auth: the user and the password that ``BASIC_AUTH_USER`` and ``BASIC_AUTH_PASS`` set."""

import hmac

from werkzeug.datastructures import Authorization

from ml_backend.errors import UnauthorizedError
from ml_backend.serving.settings import BackendSettings


def authorize(settings: BackendSettings, given: Authorization | None) -> None:
    """Check the credentials of a request, if the settings require any.

    Raises:
        UnauthorizedError: User or password is missing or wrong.
    """
    if not (settings.basic_auth_user and settings.basic_auth_pass):
        return
    user, password = (given.username, given.password) if given else (None, None)
    # Both are always compared, so that the time reveals nothing.
    right_user = _equal_in_constant_time(user, settings.basic_auth_user)
    right_password = _equal_in_constant_time(password, settings.basic_auth_pass.get_secret_value())
    if not (right_user and right_password):
        raise UnauthorizedError(
            "user name or password is missing or wrong",
            "set basic auth on the model's connection in Label Studio",
        )


def _equal_in_constant_time(given: str | None, expected: str) -> bool:
    return hmac.compare_digest((given or "").encode(), expected.encode())
