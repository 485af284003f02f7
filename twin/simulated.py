"""Instances that exist in numbers alone: workers that take jobs, web servers that spend CPU on requests."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from twin.assumptions import Assumptions
from twin.fleet import QueueReading, RunningFleet
from twin.groups import Instance
from twin.loop import Loop, SimulatedClock
from twin.machines import Machines, lasting
from twin.templates import Fleet

_POLL_SECONDS = 5  # anb.timings: how long a worker takes to see that there is no job, or that its instance ends
_JOB_SPREAD = 0.3  # standard deviation of a job's duration over its mean
_STEP_SECONDS = 10  # web servers' load is looked at so often


@dataclass
class _Worker:
    """An instance that has booted."""

    idle: int
    busy: dict[int, float] = field(default_factory=dict)  # jobs, and when they arrived
    is_leaving: bool = False
    is_protected: bool = False
    busy_seconds: float = 0
    looked_at: float = 0


class SimulatedWorkers(Machines):
    """Workers at a queue. A job takes `Assumptions.job` seconds, whoever else works on its instance."""

    def __init__(
        self,
        *,
        loop: Loop,
        assumptions: Assumptions,
        generator: random.Random,
        processes: int,
        visibility_seconds: float,
    ) -> None:
        super().__init__(loop=loop, assumptions=assumptions, generator=generator)
        self.took_seconds: list[tuple[float, float]] = []
        """When each job arrived, and how long it took until it was processed."""
        self.interrupted = self.chosen_busy = 0
        self._processes, self._visibility_seconds = processes, visibility_seconds
        self._waiting: deque[tuple[int, float]] = deque()
        self._orphans: dict[int, float] = {}
        self._workers: dict[str, _Worker] = {}
        self._leaving_early: set[str] = set()  # told so before they had booted
        self._jobs = 0

    def submit(self) -> None:
        """A job arrives."""
        self._jobs += 1
        self._waiting.append((self._jobs, self.loop.now()))
        self._dispatch()

    def booted(self, instance: str) -> None:
        """Ask for jobs from now on."""
        if instance in self._leaving_early:
            self.fleet.complete(instance)
            return
        self.fleet.works(instance)
        self._workers[instance] = _Worker(self._processes, looked_at=self.loop.now())
        self._dispatch()

    def _dispatch(self) -> None:
        """Give waiting jobs to workers that ask, any of them."""
        while self._waiting:
            asking = [name for name, it in self._workers.items() if it.idle and not it.is_leaving]
            if not asking:
                return
            self._take(self.generator.choice(asking))

    def _take(self, instance: str) -> None:
        worker, (job, arrived) = self._workers[instance], self._waiting.popleft()
        self._look(worker)
        worker.idle -= 1
        worker.busy[job] = arrived
        if not worker.is_protected:
            worker.is_protected = True
            self._tell(instance)
        self.loop.call_later(self.draw_job(), lambda: self._finish(instance, job))

    def draw_job(self) -> float:
        """Return how long the next job takes."""
        return lasting(self.generator, self.assumptions.job, _JOB_SPREAD)

    def _tell(self, instance: str) -> None:
        def tell() -> None:
            if worker := self._workers.get(instance):
                self.fleet.protect(instance, is_protected=worker.is_protected)

        self.loop.call_later(self.assumptions.protection_delay, tell)

    def _finish(self, instance: str, job: int) -> None:
        worker = self._workers.get(instance)
        if worker is None or job not in worker.busy:
            return
        self._look(worker)
        arrived = worker.busy.pop(job)
        worker.idle += 1
        self.took_seconds.append((arrived, self.loop.now() - arrived))
        if worker.is_leaving and not worker.busy:
            self.fleet.complete(instance)
            return
        self._dispatch()
        if not worker.busy:
            self.loop.call_later(_POLL_SECONDS, lambda: self._rest(instance))

    def _rest(self, instance: str) -> None:
        worker = self._workers.get(instance)
        if worker and not worker.busy and worker.is_protected:
            worker.is_protected = False
            self._tell(instance)

    def announce(self, instance: Instance) -> None:
        """Its workers see it when they look next, and take no other job."""
        self.loop.call_later(_POLL_SECONDS * self.generator.random(), lambda: self._leave(instance.id))

    def _leave(self, instance: str) -> None:
        worker = self._workers.get(instance)
        if worker is None:
            self._leaving_early.add(instance)
            return
        worker.is_leaving = True
        self.chosen_busy += bool(worker.busy)
        if not worker.busy:
            self.fleet.complete(instance)
        else:
            self._beat(instance)

    def _beat(self, instance: str) -> None:
        if instance in self._workers:
            self.fleet.heartbeat(instance)
            self.loop.call_later(60, lambda: self._beat(instance))

    def end(self, instance: Instance) -> None:
        """Whatever it worked on is interrupted."""
        if worker := self._workers.get(instance.id):
            self.interrupted += len(worker.busy)
        super().end(instance)

    def lose(self, instance: str) -> None:
        """Drop it, with what it was doing."""
        super().lose(instance)
        worker = self._workers.pop(instance, None)
        for job, arrived in worker.busy.items() if worker else ():
            self._orphans[job] = arrived
            self.loop.call_later(self._visibility_seconds, lambda job=job: self._show(job))  # type: ignore[misc]

    def _show(self, job: int) -> None:
        self._waiting.append((job, self._orphans.pop(job)))
        self._dispatch()

    def _look(self, worker: _Worker) -> None:
        worker.busy_seconds += len(worker.busy) * (self.loop.now() - worker.looked_at)
        worker.looked_at = self.loop.now()

    def queue(self) -> QueueReading:
        """Return what waits, and what is worked on or was when its instance died."""
        now = self.loop.now()
        taken = [*self._orphans.values(), *(at for it in self._workers.values() for at in it.busy.values())]
        waiting = [arrived for _, arrived in self._waiting]
        oldest = min((*waiting, *taken), default=None)
        return QueueReading(
            visible=len(waiting),
            in_flight=len(taken),
            oldest_visible_seconds=now - min(waiting) if waiting else None,
            oldest_seconds=None if oldest is None else now - oldest,
        )

    def cpu_percent(self, instance: str) -> float:
        """A worker that works uses up a processor."""
        worker = self._workers.get(instance)
        if worker is None:
            return 0.0
        self._look(worker)
        seconds, worker.busy_seconds = worker.busy_seconds, 0
        return min(100.0, 100 * seconds / (60 * self._processes))

    def requests(self) -> int:
        """Nobody reaches a worker."""
        return 0

    def route(self, serving: Sequence[str]) -> None:
        """Nobody is sent to a worker."""

    def check(self, instance: str, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        """Nobody asks for a worker's health."""


class SimulatedServers(Machines):
    """Web servers as a fluid: requests are spread evenly, and those beyond a server's processors or places fail."""

    def __init__(
        self,
        *,
        loop: Loop,
        assumptions: Assumptions,
        generator: random.Random,
        rate: Callable[[float], float],
        cpu_seconds: float,
        processors: int,
        place_seconds: float = 0,
        places: float = math.inf,
    ) -> None:
        """`rate` is how many requests a second there are at a time.

        Each costs `cpu_seconds` of a server's processors, and holds one of its places for `place_seconds`.
        """
        super().__init__(loop=loop, assumptions=assumptions, generator=generator)
        self.asked = self.failed = 0.0
        self.failing_at: list[float] = []
        """When some failed."""
        self._rate, self._cpu_seconds, self._processors = rate, cpu_seconds, processors
        # What a server can answer in a step
        self._room = _STEP_SECONDS * min(
            processors / cpu_seconds, places / place_seconds if place_seconds else math.inf
        )
        self._serving: Sequence[str] = ()
        self._booted: set[str] = set()
        self._used: dict[str, float] = {}
        self._counted = 0.0
        loop.call_every(_STEP_SECONDS, self._step, first=_STEP_SECONDS)

    def forget(self) -> None:
        """Count from now on."""
        self.asked = self.failed = 0.0
        self.failing_at.clear()

    def booted(self, instance: str) -> None:
        """Answer from now on."""
        self.fleet.works(instance)
        self._booted.add(instance)

    def _step(self) -> None:
        asked = self._rate(self.loop.now()) * _STEP_SECONDS
        failed = asked
        for name in self._booted.intersection(self._serving):
            served = min(self._room, asked / len(self._serving))
            failed -= served
            self._used[name] = self._used.get(name, 0.0) + served * self._cpu_seconds
        self.asked += asked
        self._counted += asked
        if failed > asked / 1000:  # more than what is lost in summing up
            self.failed += failed
            self.failing_at.append(self.loop.now())

    def lose(self, instance: str) -> None:
        """Drop it, with what it was doing."""
        super().lose(instance)
        self._booted.discard(instance)

    def announce(self, instance: Instance) -> None:
        """Nothing there waits for the end."""
        self.fleet.complete(instance.id)

    def route(self, serving: Sequence[str]) -> None:
        """Spread what comes over these."""
        self._serving = tuple(serving)

    def check(self, instance: str, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        """One that has booted answers at once, another refuses the connection at once or hangs if it is dead."""
        is_there = instance in self.launched
        self.loop.call_later(0 if is_there else timeout_seconds, lambda: report(instance in self._booted))

    def queue(self) -> None:
        """Web servers have no queue."""

    def requests(self) -> int:
        """Return what has come since this was asked last."""
        counted, self._counted = round(self._counted), 0.0
        return counted

    def cpu_percent(self, instance: str) -> float:
        """Return the mean over the minute since this was asked last."""
        return 100 * self._used.pop(instance, 0.0) / (60 * self._processors)


def run_workers(
    fleet: Fleet,
    *,
    arrivals: Iterable[float],
    seconds: float,
    assumptions: Assumptions = Assumptions(),
    seed: int = 1,
    failures_every_seconds: float = math.inf,
) -> tuple[RunningFleet, SimulatedWorkers]:
    """Return a worker fleet and its workers after so many seconds with a job at each of the arrivals.

    An instance has a worker for each processor.
    """
    loop, generator = Loop(SimulatedClock()), random.Random(seed)  # noqa: S311 a draw that can be repeated
    workers = SimulatedWorkers(
        loop=loop,
        assumptions=assumptions,
        generator=generator,
        processes=fleet.processors,
        visibility_seconds=fleet.visibility_seconds or 0,
    )
    running = RunningFleet(fleet, loop=loop, driver=workers, assumptions=assumptions, generator=generator)
    for at in arrivals:
        loop.call_at(at, workers.submit)
    if failures_every_seconds < math.inf:
        loop.call_every(failures_every_seconds, workers.fail_one, first=failures_every_seconds)
    running.start()
    loop.run(seconds)
    return running, workers


def compose_servers(
    fleet: Fleet,
    *,
    rate: Callable[[float], float],
    cpu_seconds: float,
    place_seconds: float = 0,
    places: float = math.inf,
    assumptions: Assumptions = Assumptions(),
    seed: int = 1,
) -> tuple[Loop, RunningFleet, SimulatedServers]:
    """Return a web fleet at its start with requests as `SimulatedServers` has them, and the loop that runs it."""
    loop, generator = Loop(SimulatedClock()), random.Random(seed)  # noqa: S311 a draw that can be repeated
    servers = SimulatedServers(
        loop=loop,
        assumptions=assumptions,
        generator=generator,
        rate=rate,
        cpu_seconds=cpu_seconds,
        processors=fleet.processors,
        place_seconds=place_seconds,
        places=places,
    )
    running = RunningFleet(fleet, loop=loop, driver=servers, assumptions=assumptions, generator=generator)
    running.start()
    return loop, running, servers
