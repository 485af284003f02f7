"""Runs a program that we do not trust with its input: confined, watched and always ended.

The confinement is a chain of small programs from util-linux, each of which starts the next one in its own
place, so that the process we start is the one that we signal. A machine may lack one of them or forbid it
(user namespaces, in some containers); the program then runs without it, and the log says so once.
"""

import ctypes
import functools
import logging
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from anb_worker.failures import Cancelled, Crashed

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2  # how often we look whether to go on
_KEPT_BYTES: Final = 8192  # of each output: the end of it
_SELF_TEST_SECONDS: Final = 5
_PR_SET_DUMPABLE: Final = 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may use. The defaults leave room above the dearest clip that we accept (4K60 HDR HEVC).

    Such a clip needs 0.98 GB of address space and 120 CPU-seconds; a throttled instance takes ten minutes for it.
    """

    address_space_bytes: int = 1_250_000_000
    cpu_seconds: int = 600
    file_bytes: int = 200_000_000
    open_files: int = 64
    wall_seconds: float = 900
    stall_seconds: float = 60  # without another frame
    grace_seconds: float = 3  # between SIGTERM and SIGKILL


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program that was left alone ended, and the last of what it wrote to stderr."""

    code: int
    errors: str


def run(
    command: Sequence[str],
    *,
    folder: Path,
    on_frame: Callable[[int], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    limits: Limits = Limits(),
) -> Ended:
    """Run a program in `folder` until it ends by itself.

    `on_frame` gets each frame number that the program reports on stdout as ffmpeg's `-progress` does.
    Raises Cancelled soon after `cancelled` says so, and Crashed when a signal or a limit ended it. Nothing of
    its process group is alive afterwards. The thread that calls must not end before the program does: the
    kernel kills the program with it.
    """
    with _started(command, folder, limits) as child:
        errors = _watch(child, on_frame, cancelled, limits)
    if child.returncode < 0:
        raise Crashed(f"{Path(command[0]).name} was killed by {_signal_name(-child.returncode)}: {errors}")
    return Ended(code=child.returncode, errors=errors)


def make_undumpable() -> None:
    """Keep other programs of our user, those that run here included, from reading our memory and our environment.

    Both hold secrets, and the kernel would show them to whoever has our user: PR_SET_DUMPABLE in prctl(2).
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


# --- confinement ------------------------------------------------------------------------------------------


def confinement(limits: Limits) -> tuple[str, ...]:
    """The command line to put before another one, as far as this machine supports it."""
    chain = _chain(limits)
    return tuple(word for tool in _working_tools() for word in (tool, *chain[tool]))


def _chain(limits: Limits) -> dict[str, tuple[str, ...]]:
    """The options of each tool, in the order in which they start each other."""
    return {
        "unshare": ("--user", "--net", "--"),  # no network, not even the metadata service
        "setpriv": ("--no-new-privs", "--pdeathsig", "KILL", "--"),  # after unshare, which would clear it
        "prlimit": (
            f"--as={limits.address_space_bytes}",
            f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 5}",
            *(f"--fsize={limits.file_bytes}", f"--nofile={limits.open_files}", "--core=0", "--"),
        ),
        "nice": ("-n", "5"),  # the heartbeat of the worker comes first
    }


@functools.cache
def _working_tools() -> tuple[str, ...]:
    """Which tools of the chain work here, found by trying each on top of those before it."""
    words: tuple[str, ...] = ()
    working = []
    for tool, options in _chain(Limits()).items():
        if _succeeds((*words, tool, *options, "true")):
            words += (tool, *options)
            working.append(tool)
        else:
            log.warning("%s does not work here: ffmpeg runs without it", tool)
    return tuple(working)


def _succeeds(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=_SELF_TEST_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _limit_from_outside(child: subprocess.Popen[bytes], limits: Limits) -> None:
    """Stand in for prlimit: a moment late, but without running Python between fork and exec."""
    if "prlimit" in _working_tools() or not hasattr(resource, "prlimit"):
        return
    bounds = {
        resource.RLIMIT_AS: limits.address_space_bytes,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    with suppress(ProcessLookupError):  # it has ended already
        for kind, bound in bounds.items():
            resource.prlimit(child.pid, kind, (bound, bound))


# --- start, watch, stop -----------------------------------------------------------------------------------


@contextmanager
def _started(command: Sequence[str], folder: Path, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """A running program that has ended, with all of its process group, when the block is left."""
    child = subprocess.Popen(
        [*confinement(limits), *command],
        cwd=folder,
        # Nothing of ours, least of all credentials. One malloc arena per thread would fill the address space
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with child:
        try:
            _limit_from_outside(child, limits)
            yield child
        finally:
            _stop(child, limits.grace_seconds)


def _watch(
    child: subprocess.Popen[bytes],
    on_frame: Callable[[int], None],
    cancelled: Callable[[], bool],
    limits: Limits,
) -> str:
    """Follow a program to its end; returns the last of its stderr."""
    started = advanced = time.monotonic()
    last_frame = -1
    with _Pipes(child) as pipes:
        while not _has_ended(child):
            frame = pipes.latest_frame(timeout_seconds=_LOOK_SECONDS)
            now = time.monotonic()
            if frame > last_frame:
                last_frame, advanced = frame, now
                on_frame(frame)
            if cancelled():
                raise Cancelled("stopped on request")
            if now - advanced > limits.stall_seconds:
                raise Crashed(f"no new frame for {limits.stall_seconds:g} seconds, after {max(frame, 0)}")
            if now - started > limits.wall_seconds:
                raise Crashed(f"not done after {limits.wall_seconds:g} seconds, at frame {max(frame, 0)}")
        pipes.latest_frame(timeout_seconds=0)
        return pipes.errors()


class _Pipes:
    """Both outputs of a program, read as they come and never waited for."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._selector = selectors.DefaultSelector()
        self._kept = {"stdout": b"", "stderr": b""}
        self._frame = -1
        for name, pipe in (("stdout", child.stdout), ("stderr", child.stderr)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def latest_frame(self, *, timeout_seconds: float) -> int:
        """Read what there is, waiting for it; the number of the last frame so far, -1 before the first."""
        if not self._selector.get_map():  # both closed: the end is near
            timeout_seconds /= 10
        for key, _ in self._selector.select(timeout_seconds):
            self._take(key)
        *lines, self._kept["stdout"] = self._kept["stdout"].split(b"\n")
        for line in lines:
            name, _, value = line.partition(b"=")
            if name == b"frame" and value.strip().isdigit():
                self._frame = int(value)
        return self._frame

    def errors(self) -> str:
        """The end of stderr, on one line."""
        return " | ".join(self._kept["stderr"].decode("utf-8", "replace").split("\n")).strip(" |")

    def _take(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, 65_536)
        self._kept[key.data] = (self._kept[key.data] + data)[-_KEPT_BYTES:]
        if not data:
            self._selector.unregister(key.fileobj)


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether it has, leaving it a zombie, so that its process group keeps its number."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _stop(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """End a program and whatever it started: politely first, then for certain."""
    deadline = time.monotonic() + grace_seconds
    if not _has_ended(child):
        os.killpg(child.pid, signal.SIGTERM)
    while not _has_ended(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
