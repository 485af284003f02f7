"""The system as a whole, from its parts."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from local import console, database, emulator, logs, packages, proxy, services, signals
from local.database import Database
from local.emulator import Emulator
from local.errors import PartFailed, PortTaken, Stopped
from local.loopback import check_free
from local.proxy import Proxy
from local.state import State
from local.supervisor import Part, Supervisor, Write

PARTS = ("database", "emulator", "migrations", "web", "nginx", "worker")
SERVES_WITHIN_SECONDS = 60.0


class System(Supervisor):
    """The parts of the system, and where to reach it."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        write: Write,
        database: Database,
        emulator: Emulator,
        proxy: Proxy,
        environment: Mapping[str, str],
    ) -> None:
        """`environment` is what web and worker run with."""
        super().__init__(parts, write=write)
        self.database = database
        self.emulator = emulator
        self.environment = environment
        self._proxy = proxy

    @property
    def url(self) -> str:
        """Where clients come in."""
        return self._proxy.url

    def wait_until_it_serves(self) -> None:
        """Wait until the API reports, through nginx, that it is ready; raises PartFailed or Stopped."""
        deadline = time.monotonic() + SERVES_WITHIN_SECONDS
        while not self._proxy.serves():
            self.check()
            if time.monotonic() > deadline:
                raise PartFailed(f"web started, but {self.url}/readyz does not say that it is ready")
            time.sleep(0.1)
        self.wait_until_ready("worker")


@contextmanager
def running_system(
    state: Path,
    *,
    port: int | None = None,
    parts: Collection[str] = PARTS,
    echo: Write = console.ignore,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[System]:
    """The system, from when it is ready until the block ends; raises CannotRun.

    Without a port it gets one of its own. `parts` can leave some out; `echo` receives what the parts print;
    `settings` are more of them for web and worker.
    """
    with _prepared_system(state, port=port, parts=parts, echo=echo, settings=settings) as system:
        _start(system, parts)
        yield system


def run(state: Path, *, port: int, as_json: bool, settings: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Run the system, with more `settings` for web and worker, until it is told to stop; raises CannotRun.

    What its parts print goes to files in the state folder, and to the terminal as JSON or as people like to read it.
    The result tells whether it was killed, because somebody did not want to wait for the end.
    """
    files = logs.LogFiles(state / "logs")
    show = console.show_raw if as_json else console.show

    def echo(name: str, line: str) -> None:
        files.write(name, line)
        show(name, line)

    with (
        closing(files),
        _prepared_system(state, port=port, parts=PARTS, echo=echo, settings=settings) as system,
        _ending_on_signals(system),
    ):
        try:
            _start(system, PARTS)
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
    chosen = "".join(f"\n  setting   {name}={value}" for name, value in settings.items())
    return f"""ready {url}{chosen}
  site      {url}/
  account   {url}/registro
  API       {url}/docs
  logs      {logs} (here as JSON: LOGS=json)
  stop      Ctrl-C"""


@contextmanager
def _ending_on_signals(system: System) -> Iterator[None]:
    def end() -> None:
        system.ask_to_end()
        console.say(f"{signals.STOPPING} (Ctrl-C once more: at once)")

    with signals.calling(end, again=system.kill_all):
        yield


@contextmanager
def running_database(state: Path, *, echo: Write = console.ignore) -> Iterator[Database]:
    """A database of its own, until the block ends."""
    here = State(state)
    with here.locked():
        found, part = database.prepare(here, mariadbd=packages.find("mariadbd")["mariadbd"])
        with _running(part, echo=echo):
            yield found


@contextmanager
def running_emulator(state: Path, *, echo: Write = console.ignore) -> Iterator[Emulator]:
    """S3 and SQS with bucket and queues, until the block ends."""
    here = State(state)
    with here.locked():
        found, part = emulator.prepare(here, web_origin="http://127.0.0.1:8080")
        with _running(part, echo=echo):
            yield found


@contextmanager
def running_proxy(
    state: Path, *, upstream_port: int, trusted_networks: Sequence[str] = (), echo: Write = console.ignore
) -> Iterator[Proxy]:
    """nginx in front of a port, until the block ends."""
    here = State(state)
    with here.locked():
        nginx = packages.find("nginx")["nginx"]
        found, part = proxy.prepare(
            here,
            nginx=nginx,
            port=here.port("nginx"),
            upstream_port=upstream_port,
            trusted_networks=trusted_networks,
        )
        with _running(part, echo=echo):
            yield found


@contextmanager
def _running(part: Part, *, echo: Write) -> Iterator[None]:
    supervisor = Supervisor([part], write=echo)
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
    parts: Collection[str],
    echo: Write,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[System]:
    here = State(state)
    with here.locked():
        system = _compose(here, port=port or here.port("nginx"), parts=parts, echo=echo, more=settings)
        try:
            yield system
        finally:
            system.stop_all()


def _compose(state: State, *, port: int, parts: Collection[str], echo: Write, more: Mapping[str, str]) -> System:
    _check_port(port)
    programs = packages.find("mariadbd", "nginx")
    web_port = state.port("web")
    where, database_part = database.prepare(state, mariadbd=programs["mariadbd"])
    front, nginx_part = proxy.prepare(state, nginx=programs["nginx"], port=port, upstream_port=web_port)
    aws, emulator_part = emulator.prepare(state, web_origin=front.url)
    settings = services.environment(state, database=where, emulator=aws) | dict(more)
    every = [
        database_part,
        emulator_part,
        services.migrations(settings),
        services.web(settings, port=web_port),
        nginx_part,
        services.worker(settings),
    ]
    return System(
        [part for part in every if part.name in parts],
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


def _start(system: System, parts: Collection[str]) -> None:
    system.start_all()
    if {"web", "nginx", "worker"} <= set(parts):
        system.wait_until_it_serves()
