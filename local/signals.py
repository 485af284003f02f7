"""What ends us: SIGINT (Ctrl-C), SIGTERM, SIGHUP.

They are handled in the main thread, and never waited for behind a mask: the kernel gives a signal to any thread that
does not block it, and libraries start threads when they are imported. SIGINT counts also where it was inherited as
ignored, as by what a script starts in the background; SIGHUP does not, which is what nohup asks for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOPPING = "stopping…"
INTERRUPTED = 130  # the exit status of what SIGINT has ended


@contextmanager
def interrupting() -> Iterator[None]:
    """The first signal becomes a KeyboardInterrupt and says so; while that unwinds, further ones change nothing."""

    def interrupt(*_: object) -> None:
        for number in _wanted():
            signal.signal(number, lambda *_: None)
        # Not print: the interrupted code may be in the middle of one
        with suppress(OSError):
            os.write(sys.stdout.fileno(), f"{STOPPING}\n".encode())
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def calling(first: Callable[[], None], *, again: Callable[[], None]) -> Iterator[None]:
    """The first signal calls `first`, further SIGINTs call `again`, from a thread: they may take locks.

    A further SIGTERM changes nothing, because make passes on the one that its whole group has received.
    """
    received: SimpleQueue[int | None] = SimpleQueue()

    def listen() -> None:
        act = first
        for number in iter(received.get, None):
            if act is first or number == signal.SIGINT:
                act()
            act = again

    threading.Thread(target=listen, name="signals", daemon=True).start()
    try:
        with _handled_by(lambda number, _: received.put(number)):  # which a handler may do at any moment
            yield
    finally:
        received.put(None)


@contextmanager
def _handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _wanted()}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _wanted() -> set[signal.Signals]:
    hang_up = set() if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else {signal.SIGHUP}
    return {signal.SIGINT, signal.SIGTERM} | hang_up
