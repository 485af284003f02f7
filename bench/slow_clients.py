"""Shows that clients who send a byte a second are nobody else's problem: `make slow-clients`.

200 connections drip their headers, a login or an upload into nginx, which keeps what it has of a request to itself
until it has all of it, but for uploads: these hold places of their own until they are sent away. Meanwhile a few
ordinary clients do what players do. Their times go to docs/performance.md; the exit status is 1 when the 95th
percentile is over a second, or anything answers with a server's error.
"""

import argparse
import itertools
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests

from anb.database import connect
from anb.database import sessions as sessions_of
from anb.models import Standing, Status, User, Video
from bench import report as performance_page
from local.system import SERVICES, System, running_system

SLOWEST_P95_SECONDS = 1.0
PLAYERS, VIDEOS = 10, 2000
PASSWORD = "StrongPass123"  # noqa: S105 of invented players
CLIENTS = 4
PAUSE_SECONDS = 0.05  # of a client between an answer and its next request


@dataclass
class Observed:
    """What the ordinary clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def all_seconds(self) -> list[float]:
        """Return the times of all requests."""
        return [each for times in self.seconds.values() for each in times]


class SlowConnections:
    """Connections that send a byte each second, and are opened again whenever the server closes or answers them."""

    def __init__(self, url: str, token: str, *, count: int) -> None:
        address = urlsplit(url)
        self._address = (address.hostname or "", address.port or 80)
        starts = itertools.cycle(_beginnings(token))
        self._begin = [next(starts) for _ in range(count)]
        self._sockets: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drip, name="slow connections")
        self.closed = 0

    def __enter__(self) -> Self:
        self._sockets = [self._open(begin) for begin in self._begin]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def _open(self, begin: bytes) -> socket.socket:
        opened = socket.create_connection(self._address, timeout=10)
        opened.sendall(begin)
        opened.setblocking(False)
        return opened

    def _drip(self) -> None:
        while not self._stop.wait(1):
            for number, begin in enumerate(self._begin):
                if not _send_one_byte(self._sockets[number]):
                    self.closed += 1
                    self._sockets[number].close()
                    self._sockets[number] = self._open(begin)


def _beginnings(token: str) -> list[bytes]:
    """Return what each kind of slow client sends at once; the rest comes byte by byte."""
    login = (
        "POST /api/auth/login HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
    )
    upload = (
        f"POST /api/videos/upload HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 50000000\r\n"
    )
    return [
        b"GET /api/public/rankings HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
        f"{login}\r\n".encode(),
        f"{upload}\r\n--x\r\n".encode(),
    ]


def _send_one_byte(connection: socket.socket) -> bool:
    """Send it; False when the server has closed the connection, or has answered already."""
    try:
        connection.send(b" ")
        connection.recv(1000)
    except BlockingIOError:
        return True  # nothing to read: it is still listening
    except OSError:
        pass
    return False


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=200)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="slow-clients-") as state,
        running_system(Path(state), services=set(SERVICES) - {"worker"}) as system,
    ):
        _wait_until_it_serves(system)
        tokens = _players(system)
        _fill(system)
        with SlowConnections(system.url, tokens[0], count=arguments.connections) as slow:
            observed = observe(system.url, tokens, seconds=arguments.seconds)
    return _report(observed, slow, arguments)


def _wait_until_it_serves(system: System) -> None:
    deadline = time.monotonic() + 60
    while requests.get(f"{system.url}/readyz", timeout=10).status_code != 200:
        if time.monotonic() > deadline:
            raise RuntimeError("the system does not become ready")
        time.sleep(0.1)


def _players(system: System) -> list[str]:
    """Sign players up, as everybody; return their tokens."""
    tokens = []
    for number in range(PLAYERS):
        email = f"player{number}@example.com"
        account = {"first_name": "Ana", "last_name": f"Gil {number}", "city": "Cali", "country": "Colombia"}
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        signed_up = requests.post(
            f"{system.url}/api/auth/signup", json={**account, **passwords, "email": email}, timeout=30
        )
        signed_up.raise_for_status()
        answer = requests.post(
            f"{system.url}/api/auth/login", json={"email": email, "password": PASSWORD}, timeout=30
        )
        answer.raise_for_status()
        tokens.append(answer.json()["access_token"])
    return tokens


def _fill(system: System) -> None:
    """Give the first player videos that are open to votes, without the work."""
    engine = connect(system.environment["ANB_DATABASE_URL"], pool_size=1)
    now = datetime.now(UTC).replace(tzinfo=None)
    with sessions_of(engine).begin() as session:
        owner = session.query(User).order_by(User.id).first()
        if owner is None:
            raise RuntimeError("nobody has signed up")
        session.add(Standing(user_id=owner.id, city=owner.city))
        session.add_all(
            Video(
                id=_video_id(number),
                user_id=owner.id,
                title=f"Video {number}",
                status=Status.PROCESSED,
                request_id="slow-clients",
                uploaded_at=now,
                processed_at=now,
                attempt=1,
            )
            for number in range(VIDEOS)
        )
    engine.dispose()


def _video_id(number: int) -> uuid.UUID:
    return uuid.UUID(int=1 + number)


def observe(url: str, tokens: Sequence[str], *, seconds: float) -> Observed:
    """Do what players do for so long, with a few clients at once, and return what they saw."""
    observed, deadline = Observed(), time.monotonic() + seconds
    asks, lock = _asks(tokens), threading.Lock()

    def client() -> None:
        with requests.Session() as session:
            while time.monotonic() < deadline:
                with lock:
                    ask = next(asks)
                begun = time.perf_counter()
                problem = _problem(session, url, ask)
                took = time.perf_counter() - begun
                with lock:
                    observed.seconds.setdefault(ask.kind, []).append(took)
                    observed.failures += [problem] if problem else []
                time.sleep(PAUSE_SECONDS)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return observed


@dataclass(frozen=True)
class Ask:
    """A request of an ordinary client."""

    kind: str
    method: str
    path: str
    bearer: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] | None = None


def _asks(tokens: Sequence[str]) -> Iterator[Ask]:
    """Yield what players ask, in turn; a vote is never the same twice."""
    bearers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    login = {"email": "player1@example.com", "password": PASSWORD}
    for number, bearer in itertools.product(range(VIDEOS), bearers):
        video_id = _video_id(number)
        yield Ask("health", "GET", "/healthz")
        yield Ask("ranking", "GET", "/api/public/rankings")
        yield Ask("login", "POST", "/api/auth/login", body=login)
        yield Ask("detail", "GET", f"/api/videos/{video_id}", bearers[0])
        yield Ask("vote", "POST", f"/api/public/videos/{video_id}/vote", bearer)


def _problem(session: requests.Session, url: str, ask: Ask) -> str | None:
    try:
        response = session.request(ask.method, f"{url}{ask.path}", headers=ask.bearer, json=ask.body, timeout=30)
    except requests.RequestException as error:
        return f"{ask.kind}: {type(error).__name__}"
    return None if response.ok else f"{ask.kind}: {response.status_code} {response.text[:200]}"


def _report(observed: Observed, slow: SlowConnections, arguments: argparse.Namespace) -> int:
    p95 = _p95(observed.all_seconds())
    rows = {**observed.seconds, "all": observed.all_seconds()}
    text = "\n".join(
        [
            (
                f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make slow-clients` ({arguments.connections} slow"
                f" connections for {arguments.seconds} s, of which {slow.closed} were sent away and opened"
                f" again): {performance_page.machine()}."
            ),
            "",
            "| request | count | median, ms | p95, ms | slowest, ms |",
            "|---|---:|---:|---:|---:|",
            *(
                f"| {kind} | {len(times)} | {statistics.median(times) * 1000:.0f} | {_p95(times) * 1000:.0f}"
                f" | {max(times) * 1000:.0f} |"
                for kind, times in rows.items()
            ),
            "",
            f"Failed: {len(observed.failures)}. The target is a p95 of at most 1 s and no failure.",
        ]
    )
    print(text)
    for failure in sorted(set(observed.failures)):
        print(failure, file=sys.stderr)
    performance_page.replace("slow-clients", text)
    return 0 if p95 <= SLOWEST_P95_SECONDS and not observed.failures else 1


def _p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
