"""What the retries with tenacity have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

T = TypeVar("T")


def last_result(state: RetryCallState) -> Any:
    """Return or raise what the last try ended with; tenacity's ``retry_error_callback``."""
    return state.outcome.result() if state.outcome else None


def poll(ask: Callable[[], T], until: Callable[[T], bool], every: float, limit: float) -> T:
    """Ask until the answer is as wanted, or time is up.

    Args:
        ask: Returns the state of something.
        until: Whether that is the wanted state.
        every: Seconds between two questions.
        limit: Seconds after which the last answer is returned as it is.
    """
    polling = Retrying(
        retry=retry_if_not_result(until),
        wait=wait_fixed(every),
        stop=stop_after_delay(limit),
        retry_error_callback=last_result,
    )
    return polling(ask)
