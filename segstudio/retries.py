"""Shared parts of retries with tenacity."""

from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

T = TypeVar("T")


def last_result(state: RetryCallState) -> Any:
    """Return or raise the result of the last try; tenacity's ``retry_error_callback``."""
    return state.outcome.result() if state.outcome else None


def poll(ask: Callable[[], T], until: Callable[[T], bool], every: float, limit: float) -> T:
    """Call a function until its result is as wanted, or time is up.

    Args:
        ask: Function that returns a state.
        until: Function that decides whether the state is the wanted one.
        every: Seconds between two calls.
        limit: Seconds after which the last state is returned.
    """
    polling = Retrying(
        retry=retry_if_not_result(until),
        wait=wait_fixed(every),
        stop=stop_after_delay(limit),
        retry_error_callback=last_result,
    )
    return polling(ask)
