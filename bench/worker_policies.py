"""Which way to scale workers keeps what is promised, tried on the simulated clock.

A candidate is the fleet of the templates with other policies and alarms in it; "as deployed" is that fleet itself.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from twin.alarms import Alarm, Measure, Missing
from twin.assumptions import Assumptions
from twin.groups import Policy, Step, StepPolicy, TrackingPolicy
from twin.simulated import run_workers
from twin.templates import Fleet

HOUR = 3600
# What is promised
LARGEST_BURST, WITHIN_SECONDS, SHARE = 40, 600, 0.95
SPARE_INSTANCES = 0.3
BACK_WITHIN_SECONDS = 30 * 60
LAUNCHES_PER_HOUR = 6
# What it is tried with. A load is a share of what the largest fleet can do
BURSTS = (5, 10, 20, 40, 60, 100)
LOADS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
_FIRST_SECONDS = 1800  # until a fleet that has just begun is at rest
_WARM_UP_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fleet made of a load; times are from the upload until it is processed."""

    median_seconds: float
    p95_seconds: float
    within: float
    mean_fleet: float
    back_seconds: float
    launches_per_hour: int
    interrupted: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A candidate's outcomes for each burst and steady load (in instances), and for three longer stories.

    These are a burst every half hour above a light load, a contest's last evening, and instances that die.
    """

    bursts: Mapping[int, Outcome]
    steady: Mapping[float, Outcome]
    waves: Outcome
    evening: Outcome
    deaths: Outcome

    def broken(self) -> Iterator[str]:
        """Yield a sentence for each promise that is not kept."""
        for size, burst in self.bursts.items():
            if size <= LARGEST_BURST and burst.within < SHARE:
                told = f"of {size} videos at once {burst.within:.0%} are processed within {WITHIN_SECONDS // 60} min"
                yield f"{told}, not {SHARE:.0%}"
            if burst.back_seconds > BACK_WITHIN_SECONDS:
                yield f"{burst.back_seconds / 60:.0f} min after {size} videos the fleet is not at its least again"
        for load, it in self.steady.items():
            if it.mean_fleet > (most := max(1, math.ceil(load)) + SPARE_INSTANCES):
                yield f"a load of {load:.2f} instances has {it.mean_fleet:.2f} on average, not at most {most:.1f}"
            if it.launches_per_hour > LAUNCHES_PER_HOUR:
                yield f"a load of {load:.2f} instances sees {it.launches_per_hour} launches in an hour"
        all_ = (*self.bursts.values(), *self.steady.values(), self.waves, self.evening, self.deaths)
        if interrupted := sum(it.interrupted for it in all_):
            yield f"{interrupted} jobs were interrupted by the end of their instance"


def answer(
    fleet: Fleet,
    *,
    assumptions: Assumptions = Assumptions(),
    bursts: Sequence[int] = BURSTS,
    loads: Sequence[float] = LOADS,
    hours: int = 12,
    runs: int = 3,
) -> Answer:
    """Try a worker fleet with all loads; `hours` is how long the steady ones last, `runs` how often each is tried."""
    try_ = partial(_tried, fleet, assumptions=assumptions, runs=runs)
    capacity = fleet.size.most * fleet.processors / assumptions.job  # jobs a second
    day = hours * HOUR
    return Answer(
        bursts={
            size: try_(lambda draw, size=size: [_FIRST_SECONDS + 60 * draw.random()] * size, seconds=2 * HOUR)  # type: ignore[misc]
            for size in bursts
        },
        steady={
            load * fleet.size.most: try_(partial(_poisson, lambda _, load=load: load * capacity, day), seconds=day)  # type: ignore[misc]
            for load in loads
        },
        waves=try_(partial(_waves, capacity / 4, 8 * HOUR), seconds=8 * HOUR),
        evening=try_(partial(_poisson, lambda at: capacity * _evening(at), 8 * HOUR), seconds=8 * HOUR),
        deaths=try_(
            partial(_poisson, lambda _: capacity / 2, 6 * HOUR), seconds=6 * HOUR, failures_every_seconds=1500
        ),
    )


def _waves(light: float, seconds: int, draw: random.Random) -> list[float]:
    bursts = [at for at in range(HOUR // 2, seconds, HOUR // 2) for _ in range(LARGEST_BURST)]
    return [*bursts, *_poisson(lambda _: light, seconds, draw)]


def _evening(at: float) -> float:
    """A contest's last: from a tenth of all that there can be to half as much again, and nothing after six hours."""
    hours = at / HOUR
    return 0.1 + 1.4 * max(0.0, hours - 4) / 2 if hours < 6 else 0.0


def _poisson(rate: Callable[[float], float], seconds: float, draw: random.Random) -> list[float]:
    """Return arrivals with that rate a second, which may change: candidates at twice its most, thinned."""
    most = max(rate(seconds * part / 1000) for part in range(1001)) * 1.01
    times, now = [], 0.0
    while (now := now + draw.expovariate(most)) < seconds:
        if draw.random() * most < rate(now):
            times.append(now)
    return times


def _tried(
    fleet: Fleet,
    arrivals: Callable[[random.Random], Sequence[float]],
    *,
    seconds: float,
    assumptions: Assumptions,
    runs: int,
    failures_every_seconds: float = math.inf,
) -> Outcome:
    took: list[float] = []
    asked = interrupted = launches = 0
    fleets = back = 0.0
    for seed in range(1, runs + 1):
        jobs = arrivals(random.Random(seed))  # noqa: S311 a draw that can be repeated
        running, workers = run_workers(
            fleet,
            arrivals=jobs,
            seconds=seconds,
            assumptions=assumptions,
            seed=seed,
            failures_every_seconds=failures_every_seconds,
        )
        asked += len(jobs)
        took += [it for _, it in workers.took_seconds]
        interrupted += workers.interrupted
        fleets += workers.spent_instance_seconds() / seconds / runs
        begun = [it.at_seconds for it in running.record.events if it.what == "launch" and it.at_seconds > 0]
        launches = max(launches, most_in_an_hour(begun))
        done = max((at + it for at, it in workers.took_seconds), default=0)
        large = [it.at_seconds for it in running.record.samples if sum(it.in_service.values()) > fleet.size.least]
        back = max(back, max(large, default=0) - done)
    took.sort()
    return Outcome(
        median_seconds=took[len(took) // 2],
        p95_seconds=took[len(took) * 95 // 100],
        # What has come in the last minutes of a run and is not done is left out, unless that is more than a twentieth
        within=sum(it <= WITHIN_SECONDS for it in took) / max(len(took), 0.95 * asked),
        mean_fleet=fleets,
        back_seconds=back,
        launches_per_hour=launches,
        interrupted=interrupted,
    )


def most_in_an_hour(times: Sequence[float]) -> int:
    """Return how many of these times, in seconds, lie within one hour at most."""
    return max((sum(begin <= at < begin + HOUR for at in times) for begin in times), default=0)


# ---- candidates for the workers

_IDS = {
    "visible": "ApproximateNumberOfMessagesVisible",
    "inflight": "ApproximateNumberOfMessagesNotVisible",
    "capacity": "GroupInServiceInstances",
    "age": "ApproximateAgeOfOldestMessage",
    "cpu": "CPUUtilization",
    "requests": "RequestCountPerTarget",
}
_ABOVE, _BELOW = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
_JOBS = "(visible + IF(visible >= 0, inflight, 0))"
_BACKLOG = f"{_JOBS} / (IF(capacity < 1, 1, capacity) * IF(visible >= 0, 1, 1))"
_FILLED = "(visible + FILL(inflight, 0))"


def _measure(expression: str) -> Measure:
    return Measure(expression=expression, metrics={id_: name for id_, name in _IDS.items() if id_ in expression})


def tracking(expression: str, target: float, *, shrinks: bool = True) -> TrackingPolicy:
    """Return a policy that keeps the expression near a target."""
    return TrackingPolicy(
        warm_up_seconds=_WARM_UP_SECONDS, target=target, shrinks=shrinks, measure=_measure(expression)
    )


def stepping(
    name: str, expression: str, comparison: str, threshold: float, steps: Sequence[Step], *, minutes: int
) -> tuple[StepPolicy, Alarm]:
    """Return a policy that acts by steps when so many minutes on end were beyond the threshold, and its alarm."""
    policy = StepPolicy(warm_up_seconds=_WARM_UP_SECONDS, adjustment="ChangeInCapacity", steps=tuple(steps))
    alarm = Alarm(
        name=f"{name} alarm",
        policy=name,
        measure=_measure(expression),
        comparison=comparison,
        threshold=threshold,
        periods=minutes,
        datapoints=minutes,
        missing=Missing.NOT_BREACHING,
    )
    return policy, alarm


def scaled_by(fleet: Fleet, *ways: TrackingPolicy | tuple[StepPolicy, Alarm]) -> Fleet:
    """Return the fleet with these policies and no other."""
    policies: dict[str, Policy] = {}
    alarms = []
    for number, way in enumerate(ways):
        if isinstance(way, TrackingPolicy):
            policies[f"tracking {number}"] = way
        else:
            policies[way[1].policy] = way[0]
            alarms.append(way[1])
    return replace(fleet, policies=policies, alarms=alarms)


def worker_candidates(fleet: Fleet) -> dict[str, Fleet]:
    """Return the ways to scale workers that were compared, by what to call them."""
    one_less = [Step(None, 0, -1)]
    idle_only = scaled_by(
        fleet,
        tracking(f"{_FILLED} / IF(capacity < 1, 1, capacity)", 3, shrinks=False),
        stepping("boost", "age", _ABOVE, 60, [Step(0, 60, 1), Step(60, None, 2)], minutes=1),
        stepping("rest", _FILLED, _BELOW, 1, one_less, minutes=5),
    )
    small_steps = scaled_by(
        fleet,
        stepping("out", _BACKLOG, _ABOVE, 6, [Step(0, 6, 1), Step(6, None, 2)], minutes=1),
        stepping("in", _BACKLOG, _BELOW, 2, one_less, minutes=5),
    )
    tracked = {
        f"tracking, {target} jobs per instance": scaled_by(fleet, tracking(_BACKLOG, target))
        for target in (3, 6, 10, 15, 20)
    }
    return {
        "as deployed": fleet,
        "in only when idle": idle_only,
        **tracked,
        "steps at 6 and 12 per instance": small_steps,
        "tracking, 10 visible": scaled_by(fleet, tracking("visible", 10)),
        "tracking, CPU 50 %": scaled_by(fleet, tracking("cpu", 50)),
        "tracking, CPU 80 %": scaled_by(fleet, tracking("cpu", 80)),
    }
