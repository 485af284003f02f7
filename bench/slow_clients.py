"""What do clients who send a byte a second cost the others?

They drip their headers, a login or an upload into nginx, which keeps what it has of a request to itself until it has
all of it, but for uploads: these hold places of their own until they are sent away. Meanwhile a few ordinary clients
do what players do.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

from bench import wire
from bench.figures import percentile
from bench.report import Report, table
from bench.system import account, fill, log_in, running_api, video_id
from bench.visitors import Observed, Visit, visiting
from bench.wire import Request

MAX_P95_SECONDS = 1.0
SLOW_CONNECTIONS, SECONDS, QUICK_SECONDS = 200, 60, 10
CLIENTS, PAUSE_SECONDS = 4, 0.05
PLAYERS, VIDEOS = 10, 2000


class SlowConnections:
    """Connections that send a byte each second, and are opened again whenever the server closes or answers them."""

    def __init__(self, url: str, beginnings: Sequence[bytes]) -> None:
        self._url, self._beginnings = url, beginnings
        self._connections = [wire.begin(url, beginning) for beginning in beginnings]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self.closed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _drip(self) -> None:
        while not self._over.wait(1):
            for number, beginning in enumerate(self._beginnings):
                if wire.drip(self._connections[number]) is not None:
                    self.closed += 1
                    self._connections[number].close()
                    self._connections[number] = wire.begin(self._url, beginning)


def measure(*, quick: bool) -> Report:
    """Answer with what the ordinary clients saw."""
    seconds = QUICK_SECONDS if quick else SECONDS
    with running_api() as system:
        fill(system.environment["ANB_DATABASE_URL"], players=PLAYERS, owners=1, videos=VIDEOS)
        tokens = [log_in(system.url, 1 + number) for number in range(PLAYERS)]
        beginnings = list(itertools.islice(itertools.cycle(_beginnings(tokens[0])), SLOW_CONNECTIONS))
        visits = [_visits(tokens, range(1 + client, 1 + VIDEOS, CLIENTS)) for client in range(CLIENTS)]
        with (
            SlowConnections(system.url, beginnings) as slow,
            visiting(system.url, *visits, pause_seconds=PAUSE_SECONDS) as observed,
        ):
            time.sleep(seconds)
    return _report(
        observed,
        conditions=f"{SLOW_CONNECTIONS} slow connections for {seconds} s, of which {slow.closed} were sent away and"
        " opened again",
    )


def _beginnings(token: str) -> list[bytes]:
    """Return what each kind of slow client sends at once; the rest comes byte by byte."""
    upload = wire.head("POST", "/api/videos/upload", length=50_000_000, token=token, content_type=wire.MULTIPART)
    return [
        b"GET /api/public/rankings HTTP/1.1\r\nHost: bench\r\nX-Slow: ",
        wire.head("POST", "/api/auth/login", length=5000),
        upload + b"--x\r\n",
    ]


def _visits(tokens: Sequence[str], videos: Sequence[int]) -> Iterator[Visit]:
    """Yield what players ask, in turn; a vote is never the same twice."""
    for number, token in itertools.product(videos, tokens):
        yield "health", Request("GET", "/healthz")
        yield "ranking", Request("GET", "/api/public/rankings")
        yield "login", Request("POST", "/api/auth/login", body=account(2))
        yield "detail", Request("GET", f"/api/videos/{video_id(number)}", tokens[0])
        yield "vote", Request("POST", f"/api/public/videos/{video_id(number)}/vote", token)


def _report(observed: Observed, *, conditions: str) -> Report:
    p95 = percentile(observed.of(), 95)
    slow = [f"the 95th percentile was {p95:.2f} s"] if p95 > MAX_P95_SECONDS else []
    rows = table(
        ("request", "count", "median, ms", "p95, ms", "slowest, ms"),
        (_row(kind, times) for kind, times in {**observed.seconds, "all": observed.of()}.items()),
    )
    limits = f"Failed: {len(observed.failures)}. The limits are a p95 of {MAX_P95_SECONDS:.0f} s and no failure."
    return Report(
        conditions=conditions,
        text=f"{rows}\n\n{limits}",
        missed=[*slow, *sorted(set(observed.failures))],
        figures=[observed],
    )


def _row(kind: str, times: Sequence[float]) -> tuple[object, ...]:
    figures = (statistics.median(times), percentile(times, 95), max(times))
    return kind, len(times), *(f"{seconds * 1000:.0f}" for seconds in figures)
