"""The whole system of a profile's templates, acting over real processes: both fleets, the load balancer, people."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from local.supervisor import Write
from twin.assumptions import Assumptions
from twin.fleet import RunningFleet
from twin.loop import Loop, RealClock
from twin.network import LoadBalancer
from twin.processes import Parts, ProcessServers, ProcessWorkers, running_parts
from twin.templates import Fleet

IDLE_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class World:
    """What a story can watch and disturb."""

    loop: Loop
    parts: Parts
    balancer: LoadBalancer
    web: RunningFleet
    workers: RunningFleet
    servers: ProcessServers
    encoders: ProcessWorkers
    clip: Path
    IDLE_SECONDS: ClassVar = IDLE_SECONDS

    def instances(self) -> list[str]:
        """Return the instances of both fleets that have not been ended."""
        return sorted({*self.servers.launched, *self.encoders.launched})

    def open_zones(self, *zones: str, is_open: bool) -> None:
        """Have zones take instances of both fleets, or none."""
        for fleet in (self.web, self.workers):
            fleet.open_zones(*zones, is_open=is_open)

    def lose(self, zone: str) -> None:
        """Have all instances in a zone vanish at once."""
        for fleet, driver in ((self.web, self.servers), (self.workers, self.encoders)):
            for instance in [it for it in fleet.group.instances.values() if it.zone == zone]:
                driver.vanish(instance.id)

    def run_database(self, *, is_running: bool) -> None:
        """Start the database, or stop it; the other parts stay."""
        supervisor = self.parts.supervisor
        (supervisor.start if is_running else supervisor.stop)("database")

    def statuses(self) -> Mapping[str, int]:
        """Return how many videos there are in each state."""
        with self.parts.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT status, COUNT(*) FROM anb.videos GROUP BY status")
            return dict(cursor.fetchall())

    def processed_after_seconds(self) -> list[float]:
        """Return how long each processed video has taken from its upload, in the twin's seconds."""
        with self.parts.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT TIMESTAMPDIFF(MICROSECOND, uploaded_at, processed_at) FROM anb.videos "
                "WHERE status = 'processed' ORDER BY processed_at"
            )
            return [round(int(microseconds) / 1e6 * self.parts.speed, 1) for (microseconds,) in cursor.fetchall()]

    def interrupted(self) -> int:
        """Return how many videos a worker has begun anew, because the one before did not end them."""
        with self.parts.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM anb.videos WHERE attempt > 1")
            ((count,),) = cursor.fetchall()
            return int(count)


@contextmanager
def running_world(
    folder: Path,
    fleets: Mapping[str, Fleet],
    *,
    speed: float,
    assumptions: Assumptions,
    clip: Path,
    replays: bool = True,
    write: Write,
    seed: int = 1,
) -> Iterator[World]:
    """The system, with both groups at their least, until the block ends; raises CannotRun.

    The block has to run the loop. `clip` is what can be uploaded: its encoding is replayed, or done each time.
    """
    (web,) = (it for it in fleets.values() if it.targets)
    (workers,) = (it for it in fleets.values() if it.targets is None)
    generator = random.Random(seed)  # noqa: S311 a draw that can be repeated
    with running_parts(
        folder,
        zones=web.zones,
        speed=speed,
        job_seconds=assumptions.job if replays else None,
        clip=clip,
        write=write,
    ) as parts:
        assert web.targets is not None  # noqa: S101 what AnbWeb is
        balancer = LoadBalancer(
            parts.state,
            idle_seconds=IDLE_SECONDS,
            draining_seconds=web.targets.draining_seconds,
            speed=speed,
            write=write,
        )
        balancer.start()
        loop = Loop(RealClock(speed=speed))
        servers = ProcessServers(parts, loop=loop, assumptions=assumptions, generator=generator, balancer=balancer)
        encoders = ProcessWorkers(parts, loop=loop, assumptions=assumptions, generator=generator)
        running = [
            RunningFleet(fleet, loop=loop, driver=driver, assumptions=assumptions, generator=generator)
            for fleet, driver in ((web, servers), (workers, encoders))
        ]
        try:
            for fleet in running:
                fleet.start()
            yield World(
                loop=loop,
                parts=parts,
                balancer=balancer,
                web=running[0],
                workers=running[1],
                servers=servers,
                encoders=encoders,
                clip=clip,
            )
        finally:
            servers.close()
            encoders.close()
            balancer.stop()
