"""What AWS does not document: named values, and the ranges over which a result has to hold."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Seconds unless a name says otherwise. `RANGES` has what else each may be."""

    # From the end of a minute until its metrics can be read
    queue_lag: float = 60
    group_lag: float = 60
    cpu_lag: float = 120
    requests_lag: float = 120
    # Periods that an alarm fetches beyond those that it evaluates, where the documentation has one example: 5 for 3
    extra_periods: int = 2
    alarm_to_policy: float = 2
    # Of a scaling request that gets lost on its way; a state that lasts repeats it a minute later
    lost_requests: float = 0
    age_counts_in_flight: bool = False
    # Metric math where one of two operands has no point: it counts as 0, or there is no result
    missing_operand_is_zero: bool = True
    fill_fills_empty: bool = False
    silence_is_zero_requests: bool = True
    # Of the target, for the alarm that lets target tracking shrink a group
    low_threshold: float = 0.7
    shrinks_proportionally: bool = False
    tracks_mean_of_breach: bool = False
    launch: float = 10
    in_service: float = 5
    boot: float = 120
    health_check_interval: float = 30
    registration: float = 5
    drains_idle_at_once: bool = False
    target_state_delay: float = 2
    rebalance_after: float = 300
    # The worker's own calls to its group
    protection_delay: float = 0.5
    # A video's encoding, from `make bench-worker`; the instance's virtual processors may be slower
    job: float = 30
    # How many times as much of an instance's processor a request takes as of the one that `make bench-api` ran on
    slower_processors: float = 2


RANGES: Mapping[str, tuple[float, ...]] = {
    "queue_lag": (0, 120, 180),
    "group_lag": (0, 120),
    "cpu_lag": (60, 300),
    "requests_lag": (60, 240),
    "extra_periods": (1, 4),
    "alarm_to_policy": (0, 10),
    "lost_requests": (0.01,),
    "age_counts_in_flight": (True,),
    "missing_operand_is_zero": (False,),
    "fill_fills_empty": (True,),
    "silence_is_zero_requests": (False,),
    "low_threshold": (0.9,),
    "shrinks_proportionally": (True,),
    "tracks_mean_of_breach": (True,),
    "launch": (2, 30),
    "in_service": (3, 40),
    "boot": (60, 240),
    "health_check_interval": (10, 90),
    "registration": (0, 30),
    "drains_idle_at_once": (True,),
    "target_state_delay": (0, 10),
    "rebalance_after": (60, 900),
    "protection_delay": (0.1, 3),
    "job": (20, 45),
    "slower_processors": (1, 4),
}


def one_at_a_time() -> Iterator[tuple[str, Assumptions]]:
    """Yield the defaults, and then each other value of each assumption alone, with a name to show."""
    yield "defaults", Assumptions()
    for name, values in RANGES.items():
        for value in values:
            shown = str(value) if isinstance(value, bool) else f"{value:g}"
            yield f"{name} {shown}", _with({name: value})


def drawn(generator: random.Random) -> Assumptions:
    """Return assumptions of which each has any of its values, its default among them."""
    usual = Assumptions()
    return _with({name: generator.choice((getattr(usual, name), *values)) for name, values in RANGES.items()})


def _with(values: Mapping[str, Any]) -> Assumptions:
    return replace(Assumptions(), **values)
