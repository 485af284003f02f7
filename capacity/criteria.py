"""What the web layer has to keep, and which indicator is the first to say that it does not.

The course's criteria of scenario 1. Only the standard library: the load instance runs it too.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_P95_SECONDS = 1.0
MAX_ERROR_SHARE = 0.05
WINDOW_SECONDS = 10.0
MIN_IN_WINDOW = 5
"""Of fewer requests a percentile says nothing: their window is as long as it takes to have so many."""


class Indicator(StrEnum):
    """What can be seen to degrade, as the report calls it."""

    LATENCY = "latencia p95"
    ERRORS = "errores"
    RESETS = "conexiones cortadas"
    TIMEOUTS = "esperas agotadas"
    THROTTLING = "limitación del almacenamiento"


class Failure(StrEnum):
    """How a request failed, other than by its status."""

    RESET = "reset"
    TIMEOUT = "timeout"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A request as its client saw it."""

    started_seconds: float
    """Since the first user came."""
    seconds: float
    name: str
    status: int
    """Of the answer; 0 where none came."""
    failure: str = ""
    """A Failure, or nothing."""
    is_of_store: bool = False
    """Sent to the object store and not to the API: what it takes is the line's and the store's."""

    @property
    def is_error(self) -> bool:
        """Whether it did not end as it should: nobody here sends what has to be refused."""
        return bool(self.failure) or not 200 <= self.status < 400

    @property
    def is_throttled(self) -> bool:
        """Whether the store said that it takes no more for now."""
        return self.is_of_store and self.status in {429, 503}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What many requests come to."""

    requests: int
    p50_seconds: float
    p95_seconds: float
    max_seconds: float
    errors: int
    resets: int
    timeouts: int
    throttled: int

    @property
    def error_share(self) -> float:
        """Which part of the requests failed, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def broken(self) -> list[Indicator]:
        """Return which criteria they break, in the order in which the course names them."""
        checks = {
            Indicator.LATENCY: self.p95_seconds > MAX_P95_SECONDS,
            Indicator.ERRORS: self.error_share > MAX_ERROR_SHARE,
            Indicator.RESETS: self.resets > 0,
            Indicator.TIMEOUTS: self.timeouts > 0,
            Indicator.THROTTLING: self.throttled > 0,
        }
        return [indicator for indicator, is_broken in checks.items() if is_broken]


def observe(samples: Iterable[Sample]) -> Observed:
    """Return what the requests come to. Latency is that of what the API answered: the store's is not its matter."""
    every = list(samples)
    latencies = sorted(one.seconds for one in every if not one.is_of_store)
    return Observed(
        requests=len(every),
        p50_seconds=percentile(latencies, 50),
        p95_seconds=percentile(latencies, 95),
        max_seconds=max(latencies, default=0.0),
        errors=sum(one.is_error for one in every),
        resets=sum(one.failure == Failure.RESET for one in every),
        timeouts=sum(one.failure == Failure.TIMEOUT for one in every),
        throttled=sum(one.is_throttled for one in every),
    )


def percentile(ordered: Sequence[float], number: int) -> float:
    """Return the value that so many per cent do not exceed; 0 of none."""
    return ordered[math.ceil(len(ordered) * number / 100) - 1] if ordered else 0.0


def by_name(samples: Iterable[Sample]) -> Mapping[str, Observed]:
    """Return what each kind of request comes to."""
    groups: dict[str, list[Sample]] = {}
    for one in samples:
        groups.setdefault(one.name, []).append(one)
    return {name: observe(groups[name]) for name in sorted(groups)}


def first_degraded(samples: Iterable[Sample]) -> tuple[Indicator, float] | None:
    """Return which indicator degraded first and the second in which its window began; nothing where none did.

    Windows go by when requests began, so that the cause comes first and not the answer.
    """
    for begun, window in _windows(samples):
        if broken := observe(window).broken():
            return broken[0], begun
    return None


def _windows(samples: Iterable[Sample]) -> Iterator[tuple[float, list[Sample]]]:
    ordered = sorted(samples, key=lambda one: one.started_seconds)
    window: list[Sample] = []
    for one in ordered:
        is_over = window and one.started_seconds >= window[0].started_seconds + WINDOW_SECONDS
        if is_over and len(window) >= MIN_IN_WINDOW:
            yield window[0].started_seconds, window
            window = []
        window.append(one)
    if len(window) >= MIN_IN_WINDOW or window == ordered:
        yield (window[0].started_seconds if window else 0.0), window


def failures(samples: Iterable[Sample]) -> Mapping[str, int]:
    """Return how often requests failed in which way."""
    return dict(Counter(f"{one.name}: {one.failure or one.status}" for one in samples if one.is_error))
