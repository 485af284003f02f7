"""Plays a recorded run again on the simulated clock, and tells how far the two agree.

A run is the JSON that `twin.stage.Stage.told` describes: a story's over real processes, or one of AWS. Its arrivals,
and how long its jobs and the starts of its instances took, are replayed; what the group makes of them is compared.
"""

import itertools
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.errors import CannotRun
from twin.assumptions import Assumptions
from twin.fleet import Event, RunningFleet
from twin.loop import Loop, SimulatedClock
from twin.simulated import SimulatedWorkers
from twin.templates import Fleet

Told = Mapping[str, Any]
# When in a minute alarms are looked at is not documented: as many draws of that
RUNS = 25
MOST_APART = 0.15
_LOOK_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What of a run is given to its replay, in seconds; `starts` are the instances', to run and then to work."""

    arrivals: Sequence[float]
    job: float
    starts: Sequence[tuple[float, float]]
    end: float


@dataclass(frozen=True)
class Point:
    """What there was at a time: videos that wait or are in work, those processed, and workers' instances."""

    at_seconds: float
    unfinished: int
    processed: int
    instances: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of it: how long each video took, what instances cost, and in which order what happened."""

    took_seconds: Sequence[float]
    instance_seconds: float
    order: tuple[str, ...]
    curve: Sequence[Point]


@dataclass(frozen=True)
class Figure:
    """One of the figures that are compared."""

    name: str
    recorded: float
    replayed: float

    @property
    def apart(self) -> float:
        """By what share they differ."""
        return self.replayed / self.recorded - 1

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.name}: {self.recorded:.0f} recorded, {self.replayed:.0f} simulated ({self.apart:+.0%})"


@dataclass(frozen=True)
class Comparison:
    """How far a run and its replays agree."""

    figures: Sequence[Figure]
    order: tuple[str, ...]
    """What happened in most replays, one after the other."""
    recorded_order: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether no figure is further apart than it may be, and the order is the same."""
        return self.order == self.recorded_order and all(abs(it.apart) <= MOST_APART for it in self.figures)


def measured(told: Told) -> Measured:
    """Return what a replay is given of a recorded run; raises CannotRun for one without videos.

    A job's time is what was in work over time, divided by the jobs: from a message's receipt to its deletion. AWS
    does not tell when an instance works: its starts are as assumed.
    """
    usual = Assumptions()
    starts = list(_starts(told)) or [(usual.launch + usual.in_service, usual.boot)]
    if not told["accepted_at_seconds"] or not told["processed_after_seconds"]:
        raise CannotRun("no video was processed in this run, so that there is nothing to compare")
    moments = told["moments"]
    in_work = sum(
        it["in_flight"] * (later["at_seconds"] - it["at_seconds"]) for it, later in itertools.pairwise(moments)
    )
    return Measured(
        arrivals=told["accepted_at_seconds"],
        job=in_work / len(told["processed_after_seconds"]),
        starts=starts,
        end=moments[-1]["at_seconds"],
    )


def _starts(told: Told) -> Iterator[tuple[float, float]]:
    events = [it for it in told["events"] if it["fleet"] == "workers"]
    at = {(it["what"], it["instance"]): it["at_seconds"] for it in events}
    for (what, instance), launched in at.items():
        if what == "launch" and ("works", instance) in at:
            runs = at["in service", instance]
            yield runs - launched, at["works", instance] - runs


def recorded(told: Told) -> Run:
    """Return what came of a recorded run."""
    took = told["processed_after_seconds"]
    done = next((it["at_seconds"] for it in told["moments"] if it["processed"] == len(took)), 0.0)
    events = [
        Event(it["at_seconds"], it["what"], it["instance"]) for it in told["events"] if it["fleet"] == "workers"
    ]
    return Run(
        took_seconds=sorted(took),
        instance_seconds=told["instance_seconds"]["workers"],
        order=_order(events, done),
        curve=[
            Point(it["at_seconds"], it["visible"] + it["in_flight"], it["processed"], sum(it["workers"].values()))
            for it in told["moments"]
        ],
    )


def _order(events: Sequence[Event], done: float) -> tuple[str, ...]:
    """Return how the group's size changed, and when the last video was done."""
    told = [(it.at_seconds, it.what.partition(" by ")[0]) for it in events]
    kept = [(at, what) for at, what in told if what == "launch" or what.startswith("desired ")]
    return tuple(what for _, what in sorted([*kept, (done, "all are processed")]))


class _ReplayedWorkers(SimulatedWorkers):
    """Workers whose jobs and starts take as long as those of a run did."""

    def __init__(self, given: Measured, **composed: Any) -> None:
        super().__init__(**composed)
        self._given = given
        self._starts = iter(given.starts)

    def draw_start(self) -> tuple[float, float]:
        """Return how long the instance of the same number took, or the middle of all where there was none."""
        runs, works = zip(*self._given.starts, strict=True)
        return next(self._starts, (statistics.median(runs), statistics.median(works)))

    def draw_job(self) -> float:
        """Return how long a job took."""
        return self._given.job


def replay(fleet: Fleet, given: Measured, *, seed: int, assumptions: Assumptions = Assumptions()) -> Run:
    """Play a run again on the simulated clock."""
    loop, generator = Loop(SimulatedClock()), random.Random(seed)  # noqa: S311 a draw that can be repeated
    workers = _ReplayedWorkers(
        given,
        loop=loop,
        assumptions=assumptions,
        generator=generator,
        processes=fleet.processors,
        visibility_seconds=fleet.visibility_seconds or 0,
    )
    running = RunningFleet(fleet, loop=loop, driver=workers, assumptions=assumptions, generator=generator)
    curve: list[Point] = []

    def look() -> None:
        queue, took = workers.queue(), len(workers.took_seconds)
        curve.append(Point(loop.now(), queue.visible + queue.in_flight, took, len(running.group.in_service())))

    loop.call_every(_LOOK_SECONDS, look, first=0)
    for at in given.arrivals:
        loop.call_at(at, workers.submit)
    running.start()
    loop.run(given.end)
    done = max((at + took for at, took in workers.took_seconds), default=0.0)
    return Run(
        took_seconds=sorted(took for _, took in workers.took_seconds),
        instance_seconds=workers.spent_instance_seconds(),
        order=_order(running.record.events, done),
        curve=curve,
    )


def replay_all(fleet: Fleet, given: Measured) -> list[Run]:
    """Play a run again with as many draws of what nobody knows."""
    return [replay(fleet, given, seed=seed) for seed in range(1, RUNS + 1)]


def compare(run: Run, replays: Sequence[Run]) -> Comparison:
    """Return how far a run and its replays agree: time to processed, instance-seconds and the order of events."""

    def figure(name: str, of: Any) -> Figure:
        return Figure(name, of(run), statistics.mean(of(it) for it in replays))

    return Comparison(
        [
            figure("videos processed", lambda it: len(it.took_seconds)),
            figure("time to processed, median, s", lambda it: statistics.median(it.took_seconds)),
            figure("time to processed, p95, s", lambda it: it.took_seconds[len(it.took_seconds) * 95 // 100]),
            figure("workers' instance-seconds", lambda it: it.instance_seconds),
        ],
        Counter(it.order for it in replays).most_common(1)[0][0],
        run.order,
    )
