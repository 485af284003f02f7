"""Which way to scale web servers keeps what is promised, tried on the simulated clock.

What people do is a rate of requests; what one costs is that of `make bench-api`, in CPU seconds of the machine in
docs/performance.md, times `Assumptions.slower_processors`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from anb_web import bodies
from bench.worker_policies import BACK_WITHIN_SECONDS, HOUR, LAUNCHES_PER_HOUR, most_in_an_hour, scaled_by, tracking
from twin.assumptions import Assumptions
from twin.simulated import compose_servers
from twin.templates import Fleet

READ, VOTE, SIGN_IN, UPLOAD = 0.0008, 0.0017, 0.0183, 0.273
SLOW_UPLOAD_SECONDS, FAST_UPLOAD_SECONDS = 100, 8  # of the largest file at 8 and 100 Mbit/s; it holds a place
_VOTING = 0.80 * READ + 0.15 * VOTE + 0.05 * SIGN_IN
# What is promised besides: nobody sees an error while a load grows, nor when a crowd comes to a site that is visited
CROWD_SERVED_WITHIN_SECONDS = 10 * 60
# Requests a second: of 300 people with the page open (capacity-planning/scenarios/visitors.py), and of a few
VISITED, QUIET = 100, 5
# In servers that have nothing else to do. What slow uploads hold is places, which no signal here shows: two servers
# have room for them all, which are ten times as many as three workers process
_PEAK, _SLOW_UPLOADS_PEAK = 2.4, 1.5
_REST_SECONDS = 1800  # until a fleet that has just begun is at rest
_HOURS = 12
_FALL_SECONDS = 0.7 * _HOURS * HOUR  # when what has grown has gone


@dataclass(frozen=True, kw_only=True)
class Load:
    """What people do: `rate` is how many requests a second there are at a time, where a server can answer so many."""

    rate: Callable[[float, float], float]
    cpu_seconds: float
    place_seconds: float = 0
    ends_seconds: float = _FALL_SECONDS
    meets_room: bool = True
    """Whether nobody is to see an error."""


def _day(peak: float) -> Callable[[float, float], float]:
    def rate(at: float, one_server: float) -> float:
        growing = math.sin(math.pi * at / _FALL_SECONDS) ** 2 if at < _FALL_SECONDS else 0
        return peak * one_server * (0.002 + 0.998 * growing)

    return rate


def _crowd(visitors: float) -> Callable[[float, float], float]:
    """Return a crowd that comes within a minute to a site with so many requests a second, and leaves a quiet one."""
    came, went = 2 * HOUR, 4 * HOUR

    def rate(at: float, one_server: float) -> float:
        crowd = _PEAK * one_server * min(1, (at - came) / 60) if came <= at < went else 0
        return crowd + (visitors if at < went else QUIET)

    return rate


LOADS: Mapping[str, Load] = {
    "readers": Load(rate=_day(_PEAK), cpu_seconds=READ),
    "voters": Load(rate=_day(_PEAK), cpu_seconds=_VOTING),
    "sign-ins": Load(rate=_day(_PEAK), cpu_seconds=SIGN_IN),
    "fast uploads": Load(rate=_day(_PEAK), cpu_seconds=UPLOAD, place_seconds=FAST_UPLOAD_SECONDS),
    "slow uploads": Load(rate=_day(_SLOW_UPLOADS_PEAK), cpu_seconds=UPLOAD, place_seconds=SLOW_UPLOAD_SECONDS),
    "crowd, site visited": Load(rate=_crowd(VISITED), cpu_seconds=_VOTING, ends_seconds=4 * HOUR),
    "crowd, site quiet": Load(rate=_crowd(QUIET), cpu_seconds=_VOTING, ends_seconds=4 * HOUR, meets_room=False),
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a web fleet made of a load, from when it is at rest."""

    failed: float
    """Of all requests."""
    failing_seconds: float
    """From the first request that failed to the last."""
    mean_fleet: float
    launches_per_hour: int
    back_seconds: float
    """From the end of the load until there are no more than the least."""


def served(fleet: Fleet, load: Load, *, assumptions: Assumptions = Assumptions()) -> Served:
    """Try a web fleet with a load, for twelve hours."""
    cpu_seconds = load.cpu_seconds * assumptions.slower_processors
    places = bodies.PLACES * fleet.processors  # of a process, of which there is one for each
    one_server = min(fleet.processors / cpu_seconds, places / (load.place_seconds or math.inf) or math.inf)
    loop, running, servers = compose_servers(
        fleet,
        rate=lambda at: load.rate(at, one_server),
        cpu_seconds=cpu_seconds,
        place_seconds=load.place_seconds,
        places=places,
        assumptions=assumptions,
    )
    loop.run(_REST_SECONDS)
    servers.forget()
    spent = servers.spent_instance_seconds()
    loop.run(_HOURS * HOUR)
    begun = [it.at_seconds for it in running.record.events if it.what == "launch" and it.at_seconds > 0]
    large = [it.at_seconds for it in running.record.samples if sum(it.in_service.values()) > fleet.size.least]
    return Served(
        failed=servers.failed / servers.asked,
        failing_seconds=servers.failing_at[-1] - servers.failing_at[0] if servers.failing_at else 0,
        mean_fleet=(servers.spent_instance_seconds() - spent) / (_HOURS * HOUR - _REST_SECONDS),
        launches_per_hour=most_in_an_hour(begun),
        back_seconds=max(0.0, max(large, default=0) - load.ends_seconds),
    )


def answer(fleet: Fleet, *, assumptions: Assumptions = Assumptions()) -> dict[str, Served]:
    """Try a web fleet with all loads."""
    return {name: served(fleet, load, assumptions=assumptions) for name, load in LOADS.items()}


def broken(answer: Mapping[str, Served]) -> Iterator[str]:
    """Yield a sentence for each promise that a web fleet does not keep."""
    for name, it in answer.items():
        if it.failed and LOADS[name].meets_room:
            yield f"{name}: {it.failed:.1%} of the requests fail, over {it.failing_seconds / 60:.0f} min"
        elif it.failing_seconds > CROWD_SERVED_WITHIN_SECONDS:
            yield f"{name}: requests fail for {it.failing_seconds / 60:.0f} min"
        if it.back_seconds > BACK_WITHIN_SECONDS:
            yield f"{name}: {it.back_seconds / 60:.0f} min after the load the fleet is not at its least again"
        if it.launches_per_hour > LAUNCHES_PER_HOUR:
            yield f"{name}: {it.launches_per_hour} launches in an hour"


def is_seen(assumptions: Assumptions) -> bool:
    """Whether the alarms that target tracking makes, of three minutes, can read three at all.

    Where the metrics are later than what an alarm fetches beyond those, no target tracking of anybody would ever act.
    """
    return max(assumptions.cpu_lag, assumptions.requests_lag) <= 60 * assumptions.extra_periods


def candidates(fleet: Fleet) -> dict[str, Fleet]:
    """Return the ways to scale web servers that are compared, by what to call them."""
    requests = {count: tracking("requests", count) for count in (1500, 6000)}
    cpu = {percent: tracking("cpu", percent) for percent in (30, 60)}
    return {
        "as deployed": fleet,
        **{f"{count:,} requests": scaled_by(fleet, it) for count, it in requests.items()},
        **{f"CPU {percent} %": scaled_by(fleet, it) for percent, it in cpu.items()},
        **{
            f"{count:,} requests and CPU {percent} %": scaled_by(fleet, requests[count], cpu[percent])
            for count in requests
            for percent in cpu
        },
    }
