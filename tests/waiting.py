"""Waiting for what happens elsewhere: in a process, a thread, a queue."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_EVERY_SECONDS, MAX_SLEEP_SECONDS = 0.05, 0.5


def until(condition: Callable[[], T | None], *, seconds: float = 60, what: str | Callable[[], str] = "") -> T:
    """Return the condition's value as soon as it is true.

    Raises AssertionError, which says `what` or what it returns then, when it is false for so many seconds.
    """
    if value := within(seconds, condition):
        return value
    raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what or condition}")


def within(seconds: float, condition: Callable[[], T | None]) -> T | None:
    """Return the condition's value as soon as it is true, or what it is after so many seconds."""
    waited = 0.0
    asked = time.monotonic()
    while not (value := condition()) and waited < seconds:
        slept = time.monotonic()
        time.sleep(LOOK_EVERY_SECONDS)
        # A machine that stood still in our sleep has done nothing that we wait for
        waited += slept - asked + min(time.monotonic() - slept, MAX_SLEEP_SECONDS)
        asked = time.monotonic()
    return value
