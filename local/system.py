"""The system as a whole, from its services."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from local import applications, console, database, emulator, logs, packages, proxy, signals
from local.database import Database
from local.emulator import Emulator
from local.errors import PortTaken, ServiceFailed, Stopped
from local.loopback import check_free
from local.proxy import NOBODY, Proxy, Trusted
from local.state import State
from local.supervisor import Service, Supervisor, Write

SERVICES = ("database", "emulator", "migrations", "web", "nginx", "worker")
SERVES_WITHIN_SECONDS = 60.0


class System(Supervisor):
    """The services of the system, and where to reach it."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        write: Write,
        database: Database,
        emulator: Emulator,
        proxy: Proxy,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` is what web and worker run with."""
        super().__init__(services, write=write)
        self.database = database
        self.emulator = emulator
        self.environment = environment
        self._proxy = proxy

    @property
    def url(self) -> str:
        """Where clients come in."""
        return self._proxy.url

    def wait_until_it_serves(self) -> None:
        """Wait until the API reports, through nginx, that it is ready; raises ServiceFailed or Stopped."""
        deadline = time.monotonic() + SERVES_WITHIN_SECONDS
        while not self._proxy.serves():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceFailed(f"web started, but {self.url}/readyz does not say that it is ready")
            time.sleep(0.1)
        if "worker" in self._services:
            self.wait_until_ready("worker")


@contextmanager
def running_system(
    state: Path,
    *,
    port: int | None = None,
    services: Collection[str] = SERVICES,
    echo: Write = console.ignore,
    settings: Mapping[str, str] = MappingProxyType({}),
    trusted: Trusted = NOBODY,
) -> Iterator[System]:
    """The system, from when it is ready until the block ends; raises CannotRun.

    Without a port it gets one of its own. `services` can leave some out; `echo` receives what the services print;
    `settings` are more of them for web and worker; nginx believes who is `trusted` as it believes a load balancer.
    """
    with _prepared_system(
        state, port=port, services=services, echo=echo, settings=settings, trusted=trusted
    ) as system:
        _start(system, services)
        yield system


def run(state: Path, *, port: int, as_json: bool, settings: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Run the system, with more `settings` for web and worker, until it is told to stop; raises CannotRun.

    What its services print goes to files in the state folder, and to the terminal as JSON or as text.
    The result tells whether it was killed, because somebody did not want to wait for the end.
    """
    files = logs.LogFiles(state / "logs")
    show = console.show_raw if as_json else console.show

    def echo(name: str, line: str) -> None:
        files.write(name, line)
        show(name, line)

    with (
        closing(files),
        _prepared_system(state, port=port, services=SERVICES, echo=echo, settings=settings) as system,
        _ending_on_signals(system),
    ):
        try:
            _start(system, SERVICES)
            State(state).publish({**system.environment, "ANB_SITE_URL": system.url})
            console.say(_what_next(system.url, logs=files.folder, settings=settings))
            system.wait()
        except Stopped:
            pass
        finally:
            system.stop_all()
        if system.failure:
            raise system.failure
    return system.is_killed


def _what_next(url: str, *, logs: Path, settings: Mapping[str, str]) -> str:
    selected = "".join(f"\n  setting   {name}={value}" for name, value in settings.items())
    return f"""ready {url}{selected}
  site      {url}/
  account   {url}/registro
  API       {url}/docs
  logs      {logs} (here as JSON: LOGS=json)
  stop      Ctrl-C"""


@contextmanager
def _ending_on_signals(system: System) -> Iterator[None]:
    def end() -> None:
        system.request_stop()
        console.say(f"{signals.STOPPING} (Ctrl-C once more: at once)")

    with signals.calling(end, again=system.kill_all):
        yield


@contextmanager
def running_database(state: Path, *, echo: Write = console.ignore) -> Iterator[Database]:
    """A database of its own, until the block ends."""
    here = State(state)
    with here.locked():
        found, service = database.prepare(here, mariadbd=packages.find("mariadbd")["mariadbd"])
        with _running(service, echo=echo):
            yield found


@contextmanager
def running_emulator(state: Path, *, echo: Write = console.ignore) -> Iterator[Emulator]:
    """S3 and SQS with bucket and queues, until the block ends."""
    here = State(state)
    with here.locked():
        found, service = emulator.prepare(here, web_origin="http://127.0.0.1:8080")
        with _running(service, echo=echo):
            yield found


@contextmanager
def running_proxy(
    state: Path, *, upstream_port: int, trusted: Trusted = NOBODY, echo: Write = console.ignore
) -> Iterator[Proxy]:
    """nginx in front of a port, until the block ends."""
    here = State(state)
    with here.locked():
        nginx = packages.find("nginx")["nginx"]
        found, service = proxy.prepare(
            here,
            nginx=nginx,
            port=here.port("nginx"),
            upstream_port=upstream_port,
            trusted=trusted,
        )
        with _running(service, echo=echo):
            yield found


@contextmanager
def _running(service: Service, *, echo: Write) -> Iterator[None]:
    supervisor = Supervisor([service], write=echo)
    try:
        supervisor.start_all()
        yield
    finally:
        supervisor.stop_all()


@contextmanager
def _prepared_system(
    state: Path,
    *,
    port: int | None,
    services: Collection[str],
    echo: Write,
    settings: Mapping[str, str] = MappingProxyType({}),
    trusted: Trusted = NOBODY,
) -> Iterator[System]:
    here = State(state)
    with here.locked():
        system = _compose(
            here, port=port or here.port("nginx"), services=services, echo=echo, more=settings, trusted=trusted
        )
        try:
            yield system
        finally:
            system.stop_all()


def _compose(
    state: State, *, port: int, services: Collection[str], echo: Write, more: Mapping[str, str], trusted: Trusted
) -> System:
    _check_port(port)
    programs = packages.find("mariadbd", "nginx")
    web_port = state.port("web")
    where, database_service = database.prepare(state, mariadbd=programs["mariadbd"])
    front, nginx_service = proxy.prepare(
        state, nginx=programs["nginx"], port=port, upstream_port=web_port, trusted=trusted
    )
    aws, emulator_service = emulator.prepare(state, web_origin=front.url)
    settings = applications.environment(state, database=where, emulator=aws) | dict(more)
    every = [
        database_service,
        emulator_service,
        applications.migrations(settings),
        applications.web(settings, port=web_port),
        nginx_service,
        applications.worker(settings),
    ]
    return System(
        [service for service in every if service.name in services],
        write=echo,
        database=where,
        emulator=aws,
        proxy=front,
        environment=settings,
    )


def _check_port(port: int) -> None:
    try:
        check_free(port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PortTaken(
            f"port {port}: {reason}; stop what listens there, or choose another: make run PORT={port + 1}"
        ) from None


def _start(system: System, services: Collection[str]) -> None:
    system.start_all()
    if {"web", "nginx"} <= set(services):
        system.wait_until_it_serves()
