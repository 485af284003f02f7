"""Waiting for what happens elsewhere: in a process, a thread, a queue."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T | None], *, seconds: float = 60, what: Callable[[], object] = str) -> T:
    """Return the condition's value as soon as it is true.

    Raises AssertionError with what `what` returns when it is still false after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s: {what()}"
        time.sleep(0.05)
    return value
