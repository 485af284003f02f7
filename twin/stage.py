"""Where a story is played: the system, its people, and what is seen of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import pymysql

from ops.account.lab import Lab
from stacks.rules.assembly import Assembly
from twin.account import Session, TwinDesk
from twin.fleet import RunningFleet
from twin.groups import TrackingPolicy
from twin.people import Players, Readers
from twin.templates import Fleet
from twin.world import World

_LOOK_SECONDS = 15  # of the twin's, between two moments
_SHOW_SECONDS = 60
_STEP_SECONDS = 5
_READY_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What there was at a time; instances by zone are in service, `errors` those of all clients until then."""

    at_seconds: float
    visible: int
    in_flight: int
    workers_desired: int
    workers: Mapping[str, int]
    web_desired: int
    web: Mapping[str, int]
    healthy: int
    processed: int
    requests: int
    errors: int


@dataclass(frozen=True)
class Promise:
    """What a story promises, and why it did not hold; nothing if it did."""

    sentence: str
    why_not: str


@dataclass
class Stage:
    """A running system with people in it. A story runs its time, `until` something is so."""

    world: World
    players: Players
    readers: Readers
    threads: ThreadPoolExecutor
    say: Callable[[str], None]
    assembly: Assembly
    moments: list[Moment] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    _statuses: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at the system from now on; an operator has a session in its account."""
        self.session = Session(self.world, self.assembly, run_database=self.run_database)
        now = self.world.loop.now()
        self.world.loop.call_every(_LOOK_SECONDS, self._look, first=now)
        self.world.loop.call_every(_SHOW_SECONDS, self._show, first=now + 1)

    def until(self, is_so: Callable[[], Any], *, seconds: float) -> bool:
        """Let time go on until it is so, for at most so long; return whether it is."""
        end = self.world.loop.now() + seconds
        while not is_so() and self.world.loop.now() < end:
            self.world.loop.run(min(end, self.world.loop.now() + _STEP_SECONDS))
        return bool(is_so())

    def rest(self, seconds: float) -> None:
        """Let time go on."""
        self.world.loop.run(self.world.loop.now() + seconds)

    def apart(self, call: Callable[[], object]) -> None:
        """Do what takes time on another thread, while time goes on; raises what the call raises."""
        future = self.threads.submit(call)
        self.until(future.done, seconds=3600)
        future.result()

    def run_database(self, is_running: bool) -> None:
        """Start the database, or stop it, which takes it some seconds."""
        self.apart(lambda: self.world.run_database(is_running=is_running))

    def operator(self) -> Lab:
        """Return what does the work of `ops pause` and `ops resume`; it notes what it does."""
        return Lab(TwinDesk(self.session, rest=self.rest), self.note)

    def begin(self) -> None:
        """Wait until both fleets have their least and everything answers, and have a player join."""
        web, workers = self.world.web, self.world.workers
        ready = self.until(
            lambda: len(web.balancer.healthy()) == web.fleet.size.least if web.balancer else True,
            seconds=_READY_SECONDS,
        )
        ready = ready and self.until(
            lambda: len(self.world.encoders.working()) == workers.fleet.size.least, seconds=_READY_SECONDS
        )
        self.promise("both fleets come up", ready, why_not=f"not within {_READY_SECONDS} s")
        self.apart(self.players.join)

    def note(self, what: str) -> None:
        """Tell of something that the story does now."""
        self.notes.append((self.world.loop.now(), what))
        self.say(f"{self.world.loop.now():6.0f} s  -- {what}")

    def promise(self, sentence: str, is_kept: object, *, why_not: str) -> None:
        """Say whether something held."""
        self.promises.append(Promise(sentence, "" if is_kept else why_not))

    @property
    def processed(self) -> int:
        """How many videos have been processed, as far as the database could last be asked."""
        with suppress(pymysql.MySQLError):
            self._statuses = self.world.statuses()
        return self._statuses.get("processed", 0)

    def errors(self, *, since: float = 0) -> list[float]:
        """Return when readers got a failure, or no answer."""
        return [at for at, status in self.readers.answers if at >= since and (status >= 500 or status == 0)]

    def _look(self) -> None:
        queue = self.world.encoders.queue()
        web, workers = self.world.web, self.world.workers
        self.moments.append(
            Moment(
                at_seconds=round(self.world.loop.now(), 1),
                visible=queue.visible,
                in_flight=queue.in_flight,
                workers_desired=workers.group.desired,
                workers=_zones(workers),
                web_desired=web.group.desired,
                web=_zones(web),
                healthy=len(web.balancer.healthy()) if web.balancer else 0,
                processed=self.processed,
                requests=len(self.readers.answers),
                errors=len(self.errors()),
            )
        )

    def _show(self) -> None:
        now = self.moments[-1]
        workers, web = (" + ".join(map(str, zones.values())) for zones in (now.workers, now.web))
        self.say(
            f"{now.at_seconds:6.0f} s  queue {now.visible:3} + {now.in_flight} in flight  "
            f"workers {workers} of {now.workers_desired}  web {web} of {now.web_desired}  "
            f"processed {now.processed:3}  answers {now.requests}, {now.errors} errors  "
            f"{' '.join(sorted(self.world.web.alarming() + self.world.workers.alarming()))}"
        )

    def told(self) -> dict[str, Any]:
        """Return everything that was seen, for JSON. Times are the twin's seconds since both fleets' first launch.

        - `promises`: each `sentence`, and `why_not`, empty if it held
        - `moments`: what there was every 15 s, as `Moment` says
        - `notes`: pairs of a time and what the story did then
        - `events`: `fleet` (`web`, `workers`), `at_seconds`, `what` (as `fleet.Event` has it) and `instance`
        - `answers_by_second`: by the second in which readers were answered, how often they got `2xx` ... `5xx`, or
          `broken` where there was no answer; each stands for as many as the speed
        - `accepted_at_seconds`: when each upload was answered with 201; `refused`: what others were answered
        - `processed_after_seconds`: from its upload, of each processed video in the order in which they were
        - `instance_seconds`, `sizes` (least and most): by fleet; `requests_per_target`: a minute's, at which the
          servers' policy aims
        """
        self._look()  # at how it ended
        by_second: dict[int, Counter[str]] = {}
        for at, status in self.readers.answers:
            by_second.setdefault(int(at), Counter())[f"{status // 100}xx" if status else "broken"] += 1
        fleets = {"web": self.world.web, "workers": self.world.workers}
        drivers = {"web": self.world.servers, "workers": self.world.encoders}
        return {
            "promises": [asdict(promise) for promise in self.promises],
            "moments": [asdict(moment) for moment in self.moments],
            "notes": self.notes,
            "events": [{"fleet": name, **asdict(event)} for name, it in fleets.items() for event in it.record.events],
            "answers_by_second": by_second,
            "accepted_at_seconds": sorted(self.players.accepted.values()),
            "refused": self.players.refused,
            "processed_after_seconds": self.world.processed_after_seconds(),
            "instance_seconds": {name: round(it.spent_instance_seconds()) for name, it in drivers.items()},
            "sizes": {name: (it.fleet.size.least, it.fleet.size.most) for name, it in fleets.items()},
            "requests_per_target": _requests_per_target(self.world.web.fleet),
        }


def _requests_per_target(fleet: Fleet) -> float | None:
    """Return what a tracking policy would have each server get in a minute, None without one."""
    tracking = [it for it in fleet.policies.values() if isinstance(it, TrackingPolicy)]
    return next((it.target for it in tracking if "RequestCountPerTarget" in it.measure.metrics.values()), None)


def _zones(fleet: RunningFleet) -> dict[str, int]:
    counts = dict.fromkeys(fleet.fleet.zones, 0)
    for instance in fleet.group.in_service():
        counts[instance.zone] += 1
    return counts


@contextmanager
def running_stage(world: World, assembly: Assembly, *, say: Callable[[str], None]) -> Iterator[Stage]:
    """People in the system until the block ends."""
    players = Players(world.balancer.url, clip=world.clip, loop=world.loop)
    readers = Readers(world.balancer.port, loop=world.loop)
    with ThreadPoolExecutor(1, thread_name_prefix="story") as threads:
        try:
            yield Stage(world, players, readers, threads, say, assembly)
        finally:
            readers.close()
            players.close()
