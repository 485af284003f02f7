"""Instances that are real processes: nginx and gunicorn, or workers, over one database, object store and queue.

What AWS waits for, what the product waits for and how long an encoding takes are all divided by the same speed; the
time that a process needs to start is not, and comes on top.
"""

import random
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pymysql

from anb.timings import Timings
from local import applications, database, emulator, packages, proxy
from local.database import Database
from local.emulator import Emulator
from local.errors import CannotRun
from local.loopback import ADDRESS
from local.processes import cpu_seconds, family
from local.state import State
from local.supervisor import Service, Supervisor, Write
from twin.assumptions import Assumptions
from twin.fleet import QueueReading
from twin.groups import Instance
from twin.instance_cloud import InstanceCloud, running_cloud
from twin.launcher import accelerated
from twin.loop import Loop
from twin.machines import Machines
from twin.network import LoadBalancer, Zone
from twin.replay import write_replay

SERVICES = Path(__file__).resolve().parent.parent / "services"

_CLOSED_PORT = 9  # nobody listens there, as on an instance that has not booted

_AGES = """
SELECT TIMESTAMPDIFF(SECOND, MIN(IF(lease_until > UTC_TIMESTAMP(6), NULL, uploaded_at)), UTC_TIMESTAMP(6)),
       TIMESTAMPDIFF(SECOND, MIN(uploaded_at), UTC_TIMESTAMP(6))
FROM anb.videos WHERE status = 'uploaded'
"""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What all instances share, and where it is."""

    state: State
    database: Database
    emulator: Emulator
    supervisor: Supervisor
    zones: Mapping[str, Zone]
    speed: float
    environment: Mapping[str, str]
    write: Write


@contextmanager
def running_parts(
    folder: Path, *, zones: Sequence[str], speed: float, job_seconds: float | None, clip: Path, write: Write
) -> Iterator[Parts]:
    """Database, object store and queue, with networks of these zones, until the block ends; raises CannotRun.

    Every encoding of `clip` is a replay in `job_seconds` of the twin's, unless that is None: it is encoded here, and
    what comes out is kept beside it for the next time.
    """
    state = State(folder)
    with state.locked():
        timings = accelerated(Timings(), speed)
        mariadbd = packages.find("mariadbd")["mariadbd"]
        where, database_service = database.prepare(state, mariadbd=mariadbd)
        aws, emulator_service = emulator.prepare(state, web_origin="http://127.0.0.1", timings=timings)
        environment = applications.environment(state, database=where, emulator=aws) | applications.RAISED_LIMITS
        services = [database_service, emulator_service, applications.migrations(environment)]
        if job_seconds:
            environment["IMAGEIO_FFMPEG_EXE"] = _replaying(state, clip, seconds=job_seconds / speed)
            services.append(_first_encoding(environment, state, clip))
        supervisor = Supervisor(services, write=write)
        networks: dict[str, Zone] = {}
        try:
            supervisor.start_all()
            networks |= {name: Zone(name, database=where, emulator=aws) for name in zones}
            yield Parts(
                state=state,
                database=where,
                emulator=aws,
                supervisor=supervisor,
                zones=networks,
                speed=speed,
                environment=environment,
                write=write,
            )
        finally:
            for zone in networks.values():
                zone.close()
            supervisor.stop_all()


def _replaying(state: State, clip: Path, *, seconds: float) -> str:
    cache = clip.resolve().with_name("encoded")
    cache.mkdir(exist_ok=True)
    return str(write_replay(state.folder("replay") / f"ffmpeg-{seconds:g}.sh", cache=cache, seconds=seconds))


def _first_encoding(environment: Mapping[str, str], state: State, clip: Path) -> Service:
    return Service(
        name="encoding",
        command=[sys.executable, "-m", "anb_worker", "process", str(clip), str(state.folder("replay") / "first.mp4")],
        environment={**environment, "IMAGEIO_FFMPEG_EXE": _replaying(state, clip, seconds=0)},
        one_shot=True,
    )


class _Processes(Machines):
    """Instances whose services are processes under a supervisor; all that takes time is done by other threads."""

    def __init__(self, parts: Parts, *, loop: Loop, assumptions: Assumptions, generator: random.Random) -> None:
        super().__init__(loop=loop, assumptions=assumptions, generator=generator)
        self.parts = parts
        self._instances: dict[str, Instance] = {}
        self._clouds: dict[str, tuple[InstanceCloud, ExitStack]] = {}
        self._supervisors: dict[str, Supervisor] = {}
        self._threads = ThreadPoolExecutor(max_workers=24, thread_name_prefix="instances")

    def launch(self, instance: Instance) -> None:
        """Its metadata is there from the beginning."""
        held, fleet = ExitStack(), self.fleet.fleet
        cloud = held.enter_context(
            running_cloud(
                instance.id,
                group=fleet.group_name,
                hook=fleet.hook_name,
                heard=lambda call: self._heard(instance.id, call),
            )
        )
        self._instances[instance.id] = instance
        self._clouds[instance.id] = cloud, held
        self._zone(instance.id).join(instance.id, cloud)
        super().launch(instance)

    def booted(self, instance: str) -> None:
        """Start its services."""
        services = self.services(instance, State(self.parts.state.folder(f"instance-{instance}")))
        supervisor = self._supervisors[instance] = Supervisor(services, write=self._writing_for(instance))
        self._threads.submit(self._start, instance, supervisor)

    def services(self, instance: str, state: State) -> list[Service]:
        """Return what runs on an instance, in its own folder."""
        raise NotImplementedError

    def environment(self, instance: str, state: State) -> dict[str, str]:
        """Return what the services of an instance run with: everything else is reached through its zone."""
        scratch = {"ANB_SCRATCH_DIR": str(state.folder("scratch")), "TMPDIR": str(state.folder("temp"))}
        return {**self.parts.environment, **self._zone(instance).environment, **scratch}

    def announce(self, instance: Instance) -> None:
        """Its metadata says so from now on."""
        if found := self._clouds.get(instance.id):
            found[0].state = "Terminated"

    def end(self, instance: Instance) -> None:
        """Its services are told to stop, and killed when they do not."""
        if instance.id not in self._instances:  # it died before
            self.fleet.ended(instance.id)
            return
        Machines.lose(self, instance.id)
        self._let_go(instance.id, is_asked=True)

    def lose(self, instance: str) -> None:
        """All of its processes are killed at once."""
        super().lose(instance)
        self._let_go(instance, is_asked=False)

    def close(self) -> None:
        """Stop everything, once the loop has ended."""
        for instance in list(self._instances):
            self._let_go(instance, is_asked=True)
        self._threads.shutdown(wait=True)

    def working(self) -> list[str]:
        """Return the instances whose services are all ready."""
        return [name for name, supervisor in self._supervisors.items() if supervisor.all_alive]

    def _zone(self, instance: str) -> Zone:
        return self.parts.zones[self._instances[instance].zone]

    def _writing_for(self, instance: str) -> Write:
        return lambda name, line: self.parts.write(f"{instance}-{name}", line)

    def _start(self, instance: str, supervisor: Supervisor) -> None:
        with suppress(CannotRun):  # it was ended meanwhile, or cannot start: then its health check fails for ever
            supervisor.start_all()
            self.loop.post(lambda: self.fleet.works(instance))

    def _let_go(self, instance: str, *, is_asked: bool) -> None:
        supervisor = self._supervisors.pop(instance, None)
        found = self._clouds.pop(instance, None)
        zone = self._zone(instance)
        del self._instances[instance]
        self._threads.submit(self._end, instance, supervisor, zone, found and found[1], is_asked=is_asked)

    def _end(
        self,
        instance: str,
        supervisor: Supervisor | None,
        zone: Zone,
        metadata: ExitStack | None,
        *,
        is_asked: bool,
    ) -> None:
        if supervisor and not is_asked:
            supervisor.kill_all()
        if supervisor:
            supervisor.stop_all()
        zone.leave(instance)
        if metadata:
            metadata.close()
        if is_asked:
            self.loop.post(lambda: self.fleet.ended(instance))

    def _heard(self, instance: str, call: Mapping[str, str]) -> None:
        fleet = self.fleet
        match call["Action"]:
            case "SetInstanceProtection":
                is_protected = call["ProtectedFromScaleIn"] == "true"
                self.loop.post(lambda: fleet.protect(instance, is_protected=is_protected))
            case "RecordLifecycleActionHeartbeat":
                self.loop.post(lambda: fleet.heartbeat(instance))
            case "CompleteLifecycleAction":
                self.loop.post(lambda: fleet.complete(instance))


class ProcessWorkers(_Processes):
    """Worker instances: a worker for each processor, as on an instance of AWS."""

    def services(self, instance: str, state: State) -> list[Service]:
        """Return its workers. They know each other by locks on their own code, so each instance has a copy."""
        code = state.root / "services"
        shutil.copytree(SERVICES, code, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        paths = [*(code / name for name in ("anb", "web", "worker")), SERVICES.parent]
        environment = self.environment(instance, state) | {"PYTHONPATH": ":".join(map(str, paths))}
        if self.fleet.fleet.hook:
            environment |= self._clouds[instance][0].environment
        command = [sys.executable, "-m", "twin.launcher", f"{self.parts.speed:g}"]
        names = [f"worker-{number}" for number in range(1, self.fleet.fleet.processors + 1)]
        # A worker empties its scratch folder when it starts, so that each has its own
        scratch = {name: {"ANB_SCRATCH_DIR": str(state.folder(name) / "scratch")} for name in names}
        return [
            replace(applications.worker(environment | scratch[name]), name=name, command=command) for name in names
        ]

    def queue(self) -> QueueReading:
        """Return what SQS says; the ages are the rows', of those that no worker has leased and of all."""
        visible, in_flight = self.parts.emulator.messages()
        waiting = all_ = None
        # The database may have been taken away
        with suppress(pymysql.MySQLError), self.parts.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(_AGES)
            ((waiting, all_),) = cursor.fetchall()
        speed = self.parts.speed
        return QueueReading(
            visible=visible,
            in_flight=in_flight,
            oldest_visible_seconds=None if waiting is None else waiting * speed,
            oldest_seconds=None if all_ is None else all_ * speed,
        )

    def cpu_percent(self, instance: str) -> float:  # noqa: ARG002 what a driver is asked
        """Nobody scales by it: a replayed encoding needs no processor."""
        return 0.0

    def requests(self) -> int:
        """Nobody reaches a worker."""
        return 0

    def route(self, serving: Sequence[str]) -> None:
        """Nobody is sent to a worker."""

    def check(self, instance: str, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        """Nobody asks for a worker's health."""


class ProcessServers(_Processes):
    """Web instances: nginx before gunicorn, as on an instance of AWS, behind a load balancer."""

    def __init__(
        self,
        parts: Parts,
        *,
        loop: Loop,
        assumptions: Assumptions,
        generator: random.Random,
        balancer: LoadBalancer,
    ) -> None:
        super().__init__(parts, loop=loop, assumptions=assumptions, generator=generator)
        self._balancer = balancer
        self._serving: Sequence[str] = ()
        self._ports: dict[str, int] = {}
        self._used_seconds: dict[str, float] = {}

    def services(self, instance: str, state: State) -> list[Service]:
        """Return its two services."""
        web_port, port = state.port("web"), state.port("nginx")
        web = applications.web(self.environment(instance, state), port=web_port)
        web = replace(web, command=[*web.command[:-1], f"twin.launcher:create_app({self.parts.speed:g})"])
        _, nginx = proxy.prepare(
            state,
            nginx=packages.find("nginx")["nginx"],
            port=port,
            upstream_port=web_port,
            trusted=proxy.Trusted(networks=[f"{ADDRESS}/32"]),
        )
        self._ports[instance] = self._zone(instance).open_way(instance, port)
        return [web, nginx]

    def booted(self, instance: str) -> None:
        """Requests that were sent to a closed port reach it from now on."""
        super().booted(instance)
        self.route(self._serving)

    def route(self, serving: Sequence[str]) -> None:
        """Have the load balancer spread what comes over these."""
        self._serving = tuple(serving)
        self._balancer.route([self._ports.get(instance, _CLOSED_PORT) for instance in serving])

    def check(self, instance: str, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        """Ask for /healthz as the load balancer does."""
        port = self._ports.get(instance, _CLOSED_PORT)
        self._threads.submit(self._ask, port, timeout_seconds / self.parts.speed, report)

    def _ask(self, port: int, timeout_seconds: float, report: Callable[[bool], None]) -> None:
        is_well = _answers(port, timeout_seconds)
        self.loop.post(lambda: report(is_well))

    def announce(self, instance: Instance) -> None:
        """Nothing on a web server waits for the end."""
        self.fleet.complete(instance.id)

    def _let_go(self, instance: str, *, is_asked: bool) -> None:
        self._ports.pop(instance, None)  # whoever is sent there finds nobody
        super()._let_go(instance, is_asked=is_asked)

    def cpu_percent(self, instance: str) -> float:
        """Return what its processes have used since this was asked last, of its processors over a minute.

        Readers send one request for as many as the speed, so that each counts as often.
        """
        supervisor = self._supervisors.get(instance)
        if supervisor is None or not supervisor.is_alive("web"):
            return 0.0
        with suppress(OSError):  # one of them has just ended
            used = sum(cpu_seconds(family(supervisor.pid(name))) for name in ("web", "nginx"))
            spent = used - self._used_seconds.get(instance, 0.0)
            self._used_seconds[instance] = used
            return min(100.0, max(0.0, 100 * spent * self.parts.speed / (60 * self.fleet.fleet.processors)))
        return 0.0

    def requests(self) -> int:
        """Return for how many those stand that the load balancer has answered since this was asked last."""
        return round(self._balancer.requests() * self.parts.speed)

    def queue(self) -> None:
        """Web servers have no queue."""


def _answers(port: int, timeout_seconds: float) -> bool:
    connection = HTTPConnection(ADDRESS, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
