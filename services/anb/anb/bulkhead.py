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
        self._max_running = running
        self._inside = self._running = 0
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)

    def enter(self) -> None:
        """Take a place and wait for a turn; Overloaded at once without a place, or after the longest wait."""
        with self._lock:
            if self._inside == self.places:
                raise Overloaded
            self._inside += 1
            if not self._turn.wait_for(self._has_turn, self.max_wait_seconds):
                self._inside -= 1
                raise Overloaded
            self._running += 1

    def _has_turn(self) -> bool:
        return self._running < self._max_running

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self._inside -= 1
            self._running -= 1
            self._turn.notify()

    def __enter__(self) -> Self:
        self.enter()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
