"""Sends requests at a fixed rate, whether they are answered or not: what abuse.py attacks with.

One thread and no HTTP library, because the generator shares the cores with what it attacks. Its connections come
from many addresses of the loopback network, as an attack does: no limit per address has to be raised for it.
"""

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ADDRESSES = 5000
MAX_CONNECTIONS = 4000  # open at once; what nginx could not take would say nothing of the application
TICK_SECONDS = 0.01
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *\d+", re.IGNORECASE)


@dataclass
class Outcome:
    """How the requests of a flood ended."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    """503 that do not say when to come back."""
    broken: int = 0
    """Connections that ended before the answer did."""
    seconds: float = 0


def at_rate(url: str, requests: Sequence[bytes], *, per_second: float, seconds: float) -> Outcome:
    """Send the requests in turn, again and again, so many a second; return when all are answered or given up."""
    return asyncio.run(_Flood(url, requests).at_rate(per_second, seconds))


def capacity(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> float:
    """Return how many a second are answered with success when each connection waits for its answer."""
    outcome = asyncio.run(_Flood(url, requests).one_after_the_other(connections, seconds))
    return outcome.statuses[200] / outcome.seconds + outcome.statuses[201] / outcome.seconds


class _Flood:
    def __init__(self, url: str, requests: Sequence[bytes]) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._requests = itertools.cycle(requests)
        self._sources = (f"127.{1 + n // 250}.1.{1 + n % 250}" for n in itertools.cycle(range(ADDRESSES)))
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self.outcome = Outcome()

    async def at_rate(self, per_second: float, seconds: float) -> Outcome:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            for _ in range(int(passed * per_second) - self.outcome.sent):
                self._send()
            await asyncio.sleep(TICK_SECONDS)
        return await self._end(begun)

    async def one_after_the_other(self, connections: int, seconds: float) -> Outcome:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            busy = len(self._open) - len(self._idle) + len(self._opening)
            for _ in range(connections - busy):
                self._send()
            await asyncio.sleep(TICK_SECONDS / 10)
        self.outcome.seconds = time.monotonic() - begun
        return self.outcome

    def _send(self) -> None:
        self.outcome.sent += 1
        data = next(self._requests)
        if self._idle:
            self._idle.pop().send(data)
        elif len(self._open) + len(self._opening) < MAX_CONNECTIONS:
            opening = asyncio.ensure_future(self._connect(data))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
        else:
            self.outcome.broken += 1

    async def _connect(self, data: bytes) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), self._host, self._port, local_addr=(next(self._sources), 0)
            )
        except OSError:
            self.outcome.broken += 1
            return
        self._open.add(connection)
        connection.send(data)

    async def _end(self, begun: float) -> Outcome:
        """Wait for the last answers, but not for ever."""
        deadline = time.monotonic() + 30
        while len(self._open) > len(self._idle) and time.monotonic() < deadline:  # noqa: ASYNC110 any answer may be the last
            await asyncio.sleep(TICK_SECONDS)
        self.outcome.broken += len(self._open) - len(self._idle)
        self.outcome.seconds = time.monotonic() - begun
        return self.outcome

    def answered(self, connection: "_Connection", head: bytes) -> None:
        status = int(head[9:12])
        self.outcome.statuses[status] += 1
        if status == 503 and not _RETRY_AFTER.search(head):
            self.outcome.without_retry_after += 1
        self._idle.append(connection)

    def closed(self, connection: "_Connection", *, unanswered: bool) -> None:
        self._open.discard(connection)
        self.outcome.broken += unanswered
        if connection in self._idle:
            self._idle.remove(connection)


class _Connection(asyncio.Protocol):
    """A kept-alive connection with one request at a time."""

    def __init__(self, flood: _Flood) -> None:
        self._flood = flood
        self._received = b""
        self._waiting = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 what create_connection makes
        self._transport = transport

    def send(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 it is connected
        self._waiting = True
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return
        self._received, self._waiting = b"", False
        self._flood.answered(self, head)

    def connection_lost(self, _: Exception | None) -> None:
        self._flood.closed(self, unanswered=self._waiting)
