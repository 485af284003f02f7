"""Keeps processes running: started in order, restarted when they die, stopped in reverse."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local import parent_death
from local.errors import ServiceFailed, Stopped

RESTART_AFTER_SECONDS = 1.0
DEATHS_ALLOWED = 5
DEATHS_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 8.5  # all of them; who pressed Ctrl-C waits
MIN_STOP_SECONDS = 0.7  # of which each service still to stop gets at least; the worker, which polls, gets most
PROBE_EVERY_SECONDS = 0.05

Write = Callable[[str, str], None]
"""Takes the name of a service and a line that it printed; called from several threads."""


def _at_once() -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Service:
    """A process that has to run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = _at_once
    """Asked after each start until it is true; an exception counts as no."""
    ready_within_seconds: float = 60.0
    ready_text: str = ""
    """What it prints when it is ready, where there is nothing to ask."""
    one_shot: bool = False
    """It is ready when it has ended well, and is not kept running."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_seconds: float = 10.0
    """After which it is killed; sooner where all stop."""


class Supervisor:
    """Runs services that depend on the ones before them.

    A service that dies is started again, until it has died too often: then `failure` says so and `wait` returns.
    """

    def __init__(self, services: Sequence[Service], *, write: Write) -> None:
        self.failure: ServiceFailed | None = None
        self._services = {service.name: service for service in services}
        self._write = write
        self._runners: dict[str, _Runner] = {}
        self._over = threading.Event()
        self._killing = threading.Event()
        self._asked_at: float | None = None

    def start_all(self) -> None:
        """Start each service when the one before it is ready; raises ServiceFailed or Stopped."""
        for name in self._services:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a service that does not run and wait until it is ready; raises ServiceFailed or Stopped."""
        if name not in self._runners:
            self._runners[name] = _Runner(self._services[name], write=self._write, on_failure=self._fail_with)
            self._runners[name].start()
        self.wait_until_ready(name)

    def restart(self, name: str) -> None:
        """Stop a service and start it again; raises ServiceFailed or Stopped."""
        self.stop(name)
        self.start(name)

    def wait_until_ready(self, name: str) -> None:
        """Wait for a service that is starting; raises ServiceFailed or Stopped."""
        while not self._runners[name].ready.wait(PROBE_EVERY_SECONDS):
            self.check()

    def check(self) -> None:
        """Raise ServiceFailed or Stopped if it is over."""
        if self.failure:
            raise self.failure
        if self._over.is_set():
            raise Stopped("stopped before the system was ready")

    def wait(self) -> None:
        """Return when a service has failed or the end was asked for."""
        self._over.wait()

    def request_stop(self) -> None:
        """Make `wait` return and starting services give up."""
        self._asked_at = self._asked_at or time.monotonic()
        self._over.set()

    def stop_all(self) -> None:
        """Stop the services in reverse order, each before the next, within 8.5 s of when the end was asked for.

        A KeyboardInterrupt makes it hurry, and is raised when all have stopped.
        """
        self.request_stop()
        try:
            self._stop_in_reverse()
        except KeyboardInterrupt:
            self.kill_all()
            self._stop_in_reverse()
            raise

    def _stop_in_reverse(self) -> None:
        deadline = (self._asked_at or time.monotonic()) + STOP_WITHIN_SECONDS
        running = [name for name in reversed(self._services) if name in self._runners]
        for still_to_stop, name in zip(range(len(running) - 1, -1, -1), running, strict=True):
            left = deadline - still_to_stop * MIN_STOP_SECONDS - time.monotonic()
            self._stop(name, within_seconds=max(left, 0))

    def stop(self, name: str) -> None:
        """Stop a service and wait for its end; it stays down until it is started."""
        if name in self._runners:
            self._stop(name, within_seconds=self._services[name].stop_within_seconds)

    def _stop(self, name: str, *, within_seconds: float) -> None:
        self._runners[name].stop(
            within_seconds=min(within_seconds, self._services[name].stop_within_seconds), at_once=self._killing
        )
        del self._runners[name]

    def kill_all(self) -> None:
        """Let `stop_all` wait for nobody."""
        self.request_stop()
        self._killing.set()

    @property
    def is_killed(self) -> bool:
        """Whether somebody could not wait."""
        return self._killing.is_set()

    def pid(self, name: str) -> int:
        """The process that runs a service, or ran it last."""
        return self._runners[name].pid

    def is_alive(self, name: str) -> bool:
        """Whether the service is ready and its process lives."""
        return name in self._runners and self._runners[name].ready.is_set()

    @property
    def all_alive(self) -> bool:
        """Whether every service is ready and its process lives."""
        return all(self.is_alive(name) for name in self._services)

    def kill(self, name: str, number: signal.Signals) -> None:
        """Send a service's process a signal; dead of it, the service is started again."""
        os.kill(self.pid(name), number)

    def _fail_with(self, failure: ServiceFailed) -> None:
        self.failure = self.failure or failure
        self._over.set()


class _Runner:
    """Keeps one service running, in a thread that lives as long as it.

    The kernel ties a process to the thread that started it, so that thread also starts it again.
    """

    def __init__(
        self,
        service: Service,
        *,
        write: Write,
        on_failure: Callable[[ServiceFailed], None],
    ) -> None:
        self.ready = threading.Event()
        self._service = service
        self._write = write
        self._on_failure = on_failure
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        self._ready_text_seen = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=service.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int:
        self._started.wait()
        assert self._process is not None  # noqa: S101 - what `_started` says
        return self._process.pid

    def stop(self, *, within_seconds: float, at_once: threading.Event) -> None:
        with self._lock:
            self._stopping.set()
        deadline = time.monotonic() + within_seconds
        self._send(self._service.stop_signal)
        while self._thread.is_alive() and time.monotonic() < deadline and not at_once.is_set():
            self._thread.join(PROBE_EVERY_SECONDS)
        if self._thread.is_alive():
            self._end_session()
            self._thread.join()

    def _run(self) -> None:
        try:
            self._keep()
        except OSError as error:
            self._fail(f"could not be started: {error}")

    def _keep(self) -> None:
        deaths: deque[float] = deque(maxlen=DEATHS_ALLOWED)
        while process := self._launch():
            status = self._watch(process)
            if self._stopping.is_set() or self._service.one_shot:
                return
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS_ALLOWED and deaths[-1] - deaths[0] < DEATHS_WITHIN_SECONDS:
                self._fail(f"died {DEATHS_ALLOWED} times within {DEATHS_WITHIN_SECONDS:.0f} s, last by {status}")
                return
            self._write(self._service.name, f"died by {status}; starting it again")
            self._stopping.wait(RESTART_AFTER_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes] | None:
        """A new process in a session of its own, unless the service is being stopped."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                parent_death.dying_with_us(self._service.command),
                env=dict(self._service.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._ready_text_seen.clear()
            self._started.set()
            return self._process

    def _watch(self, process: subprocess.Popen[bytes]) -> str:
        """See a process from its start to its end; how it ended."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        reader = threading.Thread(target=self._copy, args=[process.stdout], daemon=True)
        reader.start()
        if not self._service.one_shot:
            self._await_readiness(process)
        status = _describe(process.wait())
        self.ready.clear()
        self._end_session()
        reader.join(1)
        if self._service.one_shot:
            self._complete(process.returncode, status)
        return status

    def _await_readiness(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._service.ready_within_seconds
        while process.poll() is None and not self._stopping.is_set():
            if self._probe():
                self.ready.set()
                return
            if time.monotonic() > deadline:
                self._fail(f"did not become ready within {self._service.ready_within_seconds:.0f} s")
                return
            self._stopping.wait(PROBE_EVERY_SECONDS)

    def _probe(self) -> bool:
        if self._service.ready_text and not self._ready_text_seen.is_set():
            return False
        try:
            return self._service.is_ready()
        except Exception:  # noqa: BLE001 - whatever a half-started service makes the probe raise, it is not ready
            return False

    def _complete(self, status: int, description: str) -> None:
        if status == 0:
            self.ready.set()
        elif not self._stopping.is_set():
            self._fail(f"did not complete: {description}")

    def _fail(self, reason: str) -> None:
        self._write(self._service.name, reason)
        self._on_failure(ServiceFailed(f"{self._service.name} {reason}"))

    def _copy(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                if self._service.ready_text and self._service.ready_text in text:
                    self._ready_text_seen.set()
                self._write(self._service.name, text)

    def _send(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)

    def _end_session(self) -> None:
        """Kill what still runs of the service: its process, or children that it left behind."""
        if self._process:
            for pid in _session(self._process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    """The processes in the session that `leader` began."""
    members = []
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader:
                members.append(pid)
    return members


def _describe(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
