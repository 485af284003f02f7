"""Uploads that are on their way in: how many at once, from whom, and how fast at least.

nginx hands an upload on as it arrives, because it has no way to end one that is merely slow. Here each holds a place
and a file that grows; on the disk of an instance they take at most PLACES * 100 MB for each of its processes.
"""

import io
import math
import socket
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol, cast

from flask import Blueprint, Flask, current_app, g, request

from anb.errors import TooManyRequests, Unavailable

PLACES = 64  # of a process
PLACES_PER_ADDRESS = 32  # a class of 30 behind one address may all end up in the same process
MIN_BYTES_PER_SECOND = 16 * 1024  # an eighth of what a phone sends with 1 Mbit/s
WINDOW_SECONDS = 20  # over which the speed is measured: a phone loses its signal for a moment
RETRY_AFTER_SECONDS = 10

_EXTENSION = "anb-bodies"
_ENDPOINT = "uploads.upload"


class Readable(Protocol):
    """What a server gives as `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""
        ...


class Body:
    """A body that is counted as it is read, and that another thread can end."""

    def __init__(
        self, source: Readable, *, length: int | None, address: str, stop_waiting: Callable[[], None]
    ) -> None:
        """`stop_waiting` makes a read that waits for the client return."""
        self.address = address
        self._source = source
        self._length = length
        self._stop_waiting = stop_waiting
        self._read_bytes = 0
        self._is_waited_for = False
        self._ended_because: str | None = None
        self._read_before = deque[int](maxlen=WINDOW_SECONDS)
        self._lock = Lock()

    def read(self, size: int) -> bytes:
        """Return the next bytes; Unavailable when it was ended."""
        with self._lock:
            self._check_is_not_ended()
            self._is_waited_for = self._read_bytes != self._length
        piece = self._source.read(size)
        with self._lock:
            self._check_is_not_ended()
            self._read_bytes += len(piece)
            self._is_waited_for = bool(piece) and self._read_bytes != self._length
        return piece

    def _check_is_not_ended(self) -> None:
        if self._ended_because is not None:
            raise Unavailable(self._ended_because)

    def end(self, because: str) -> bool:
        """Let whoever reads it have Unavailable with that sentence, unless it has come whole: then return False."""
        with self._lock:
            if not self._is_waited_for:
                return False
            self._ended_because, self._is_waited_for = because, False
            self._stop_waiting()
            return True

    def check_speed(self) -> None:
        """End it if less came in the last WINDOW_SECONDS than is asked for; to be called each second.

        Calls are counted, not seconds: a process that stood still has not watched.
        """
        if not self._is_waited_for:
            return
        is_judged = len(self._read_before) == WINDOW_SECONDS
        is_too_slow = self.bytes_per_second() < MIN_BYTES_PER_SECOND
        self._read_before.append(self._read_bytes)
        if is_judged and is_too_slow:
            self.end("El video llega demasiado despacio. Inténtalo de nuevo con una mejor conexión.")

    def bytes_per_second(self) -> float:
        """Return how fast it has come lately; infinitely fast before the first check."""
        if not self._read_before:
            return math.inf
        return (self._read_bytes - self._read_before[0]) / len(self._read_before)


class Bodies:
    """The uploads that a process is receiving."""

    def __init__(self, *, places: int = PLACES, places_per_address: int = PLACES_PER_ADDRESS) -> None:
        self._places = places
        self._places_per_address = places_per_address
        self._bodies = set[Body]()
        self._lock = Lock()

    def add(self, body: Body) -> None:
        """Give it a place. When none is free, the address that holds the most gives up its slowest body.

        Raises TooManyRequests for an address that holds all it can, Unavailable when no place can be had.
        """
        with self._lock:
            held = Counter(each.address for each in self._bodies)
            if held[body.address] >= self._places_per_address:
                text = "Hay demasiadas subidas a la vez desde tu red. Inténtalo de nuevo en unos segundos."
                raise TooManyRequests(text, retry_after_seconds=RETRY_AFTER_SECONDS)
            if len(self._bodies) >= self._places:
                self._bodies.remove(self._evict_for(body, held))
            self._bodies.add(body)

    def _evict_for(self, body: Body, held: Counter[str]) -> Body:
        text = "Hay demasiadas subidas a la vez. Inténtalo de nuevo en unos segundos."
        [(address, most)] = held.most_common(1)
        # Otherwise the two would only change places
        if most >= held[body.address] + 2:
            theirs = (each for each in self._bodies if each.address == address)
            for slowest in sorted(theirs, key=Body.bytes_per_second):
                if slowest.end(text):
                    return slowest
        raise Unavailable(text)

    def remove(self, body: Body) -> None:
        """Free its place."""
        with self._lock:
            self._bodies.discard(body)

    def check_speed(self) -> None:
        """End those that are too slow; to be called each second."""
        with self._lock:
            bodies = list(self._bodies)
        for body in bodies:
            body.check_speed()


def install(app: Flask) -> None:
    """Let the app receive uploads."""
    app.extensions[_EXTENSION] = Bodies()


def limit(uploads: Blueprint) -> None:
    """Have each of the uploads hold a place from before its body is read until it is answered."""
    uploads.before_request(_begin)
    uploads.teardown_request(_end)


def start_watch(app: Flask, stop: Event) -> Thread:
    """End slow uploads until told to stop."""
    bodies = _bodies(app)

    def watch() -> None:
        while not stop.wait(1):
            bodies.check_speed()

    thread = Thread(target=watch, name="slow uploads", daemon=True)
    thread.start()
    return thread


def _bodies(app: Flask | None = None) -> Bodies:
    return cast("Bodies", (app or current_app).extensions[_EXTENSION])


def _begin() -> None:
    if request.endpoint != _ENDPOINT or request.method != "POST":
        return
    environ = request.environ
    body = Body(
        environ["wsgi.input"],
        length=request.content_length,
        address=request.remote_addr or "",
        stop_waiting=_stop_receiving(environ.get("gunicorn.socket")),
    )
    # Who gets no place is not listened to. The answer can be lost in what nginx still sends: then nginx answers 503
    environ["wsgi.input"] = io.BytesIO()
    _bodies().add(body)
    environ["wsgi.input"] = g.body = body


def _end(_error: BaseException | None) -> None:
    if body := g.pop("body", None):
        _bodies().remove(body)


def _stop_receiving(connection: socket.socket | None) -> Callable[[], None]:
    """Return what ends a connection's incoming half, which leaves the other for the answer."""

    def stop() -> None:
        if connection is not None:
            with suppress(OSError):  # the client has gone meanwhile
                connection.shutdown(socket.SHUT_RD)

    return stop
