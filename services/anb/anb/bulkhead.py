"""Bounds how much of one kind of work a process does at once, and how much of it waits.

The pattern's name and purpose: https://learn.microsoft.com/azure/architecture/patterns/bulkhead
"""

import threading
from typing import Self

from anb.errors import Overloaded


class Bulkhead:
    """Admits so much work at once and lets so much more wait; `with` holds a place."""

    def __init__(self, *, running: int, waiting: int = 0, max_wait_seconds: float = 5) -> None:
        self.places = running + waiting
        self.max_wait_seconds = max_wait_seconds
        self._free = threading.BoundedSemaphore(self.places)
        self._turns = threading.BoundedSemaphore(running)

    def enter(self) -> None:
        """Take a place and wait for a turn; Overloaded at once without a place, or after the longest wait."""
        if not self._free.acquire(blocking=False):
            raise Overloaded
        if not self._turns.acquire(timeout=self.max_wait_seconds):
            self._free.release()
            raise Overloaded

    def leave(self) -> None:
        """Give the place back."""
        self._turns.release()
        self._free.release()

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
