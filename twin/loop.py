"""One event loop over a clock that is simulated, or real and woken by what happens outside."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

Call = Callable[[], None]


class Clock(Protocol):
    """Tells the twin's seconds, and waits for them."""

    def now(self) -> float:
        """Return the seconds since the clock was made."""

    def wait_until(self, when: float) -> None:
        """Return at that time, or earlier if somebody called `wake`."""

    def wake(self) -> None:
        """End a wait that is under way, or the next one; may be called from any thread."""


class SimulatedClock:
    """Has no time of its own: whoever waits is there at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Return the simulated seconds."""
        return self._now

    def wait_until(self, when: float) -> None:
        """Go there."""
        self._now = when

    def wake(self) -> None:
        """Nobody ever waits."""


class RealClock:
    """The machine's clock, `speed` times as fast."""

    def __init__(self, *, speed: float = 1) -> None:
        self._speed, self._began = speed, time.monotonic()
        self._woken = threading.Event()

    def now(self) -> float:
        """Return the real seconds since the clock was made, times its speed."""
        return (time.monotonic() - self._began) * self._speed

    def wait_until(self, when: float) -> None:
        """Sleep for what is left, divided by the speed."""
        self._woken.wait(max(0.0, (when - self.now()) / self._speed))
        self._woken.clear()

    def wake(self) -> None:
        """End the sleep."""
        self._woken.set()


class Loop:
    """Calls what is due, in the order of time and then of asking. One thread runs it; the others may only `post`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Call]] = []
        self._posted: deque[Call] = deque()
        self._order = itertools.count()

    def now(self) -> float:
        """Return the clock's seconds."""
        return self._clock.now()

    def call_at(self, when: float, call: Call) -> None:
        """Call it at that time, or as soon as possible if that has passed."""
        heapq.heappush(self._due, (when, next(self._order), call))

    def call_later(self, seconds: float, call: Call) -> None:
        """Call it so many seconds from now."""
        self.call_at(self._clock.now() + seconds, call)

    def call_every(self, seconds: float, call: Call, *, first: float) -> None:
        """Call it at `first` and from then on, whatever it takes itself."""

        def again() -> None:
            call()
            nonlocal first
            first += seconds
            self.call_at(first, again)

        self.call_at(first, again)

    def post(self, call: Call) -> None:
        """Have the loop's thread call it now; may be called from any thread."""
        self._posted.append(call)
        self._clock.wake()

    def run(self, until: float) -> None:
        """Call what is due until that time; what is due later stays for another run."""
        while True:
            while self._posted:
                self._posted.popleft()()
            when = min(self._due[0][0], until) if self._due else until
            if self._clock.now() < when:
                self._clock.wait_until(when)
            elif self._due and self._due[0][0] <= until:
                heapq.heappop(self._due)[2]()
            else:
                return
