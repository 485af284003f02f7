"""Measures what the API costs: `make bench-api`.

CPU is that of the server's processes (user and system, from their clocks) divided by the number of requests. The API
and the floor that it is compared with take turns within one run, so that a busy machine slows both. The table
goes to docs/performance.md.
"""

import argparse
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pymysql
import requests
from flask import Flask

from anb import accounts
from anb.database import connect
from anb.migrations import upgrade
from anb_web import tokens
from bench import report as performance_page
from local import applications, loopback
from local.database import Database
from local.emulator import Emulator
from local.samples import make_sample
from local.system import running_database, running_emulator

ROOT = Path(__file__).resolve().parents[1]
SECRET = "benchmark-secret-" * 4
PASSWORD = "StrongPass123"  # noqa: S105 of invented users
API = "anb_web:create_app()"
SMALL, LARGE = (1_000, 10_000), (1_000_000, 10_000_000)  # videos and votes
VOTERS = 20_000
RETURNING_VOTERS = 500  # who vote again and again; nobody votes twice for a video
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Server:
    """A gunicorn that serves, as it serves on an instance."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return what its processes have used so far, by their own clocks: the kernel's ticks are 10 ms long."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in (self.pid, *self.workers()))

    def workers(self) -> list[int]:
        """Return the processes that handle requests."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def peak_kib(self) -> int:
        """Return the largest peak of a worker's memory, as the kernel has recorded it since the last reset."""
        statuses = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        return max(int(found[1]) for status in statuses if (found := re.search(r"VmHWM:\s+(\d+)", status)))


def _cpu_clock(pid: int) -> int:
    """Return the id of the clock that counts a process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


@dataclass(frozen=True)
class Request:
    """One request of a case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class World:
    """The tables of one size, and who and what is in them."""

    schema: str
    videos: int
    url: str

    def video_id(self, number: int) -> UUID:
        """Return the id of a video; they are numbered from 1, and video n belongs to player n + 1, cyclically."""
        return UUID(int=number)


def main() -> int:
    arguments = _arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-api-")))
        database = stack.enter_context(running_database(folder / "database"))
        emulator = stack.enter_context(running_emulator(folder / "emulator"))
        small = fill(database, "small", *SMALL)
        large = fill(database, "large", *(SMALL if arguments.quick else LARGE))
        serve = Servers(stack, folder, emulator)
        makers = Requests(small), Requests(large)
        lines = [
            *compare(serve, small, makers[0], rounds=arguments.rounds, count=arguments.requests),
            *flatness(serve, (small, large), makers, rounds=arguments.rounds, count=arguments.requests),
            *uploads(serve, small, makers[0], folder, rounds=arguments.rounds),
        ]
    report(lines, arguments)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    # Many short rounds: what the machine does beside us then disturbs some of them, and the median ignores it
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--requests", type=int, default=100, help="requests per case, side and round")
    parser.add_argument("--quick", action="store_true", help="fill the large tables like the small ones")
    return parser.parse_args()


# --- tables -------------------------------------------------------------------------------------------------


def fill(database: Database, schema: str, videos: int, votes: int) -> World:
    """Make tables with so many processed videos and votes; a player has ten videos."""
    print(f"filling {schema}: {videos} videos, {votes} votes", file=sys.stderr)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {schema}")
    url = database.admin_url.replace("/?", f"/{schema}?")
    upgrade(connect(url, pool_size=2, timeout_seconds=3600))
    players = max(VOTERS, videos // 10)
    statements = [
        (
            "INSERT INTO users (id, email, first_name, last_name, city, country, password_hash)"
            " SELECT seq, CONCAT('p', seq, '@example.com'), 'Player', seq, CONCAT('City ', seq % 50), 'Colombia',"
            f" '{accounts.hash_password(PASSWORD)}' FROM seq_1_to_{players}"
        ),
        (
            "INSERT INTO videos (id, user_id, title, status, request_id, uploaded_at, processed_at, attempt)"
            f" SELECT LPAD(LOWER(HEX(seq)), 32, '0'), 1 + seq % {players},"
            f" CONCAT('Video ', seq), 'processed', 'bench',"
            " UTC_TIMESTAMP() - INTERVAL seq SECOND, UTC_TIMESTAMP() - INTERVAL seq SECOND, 1"
            f" FROM seq_1_to_{videos}"
        ),
        (
            "INSERT INTO votes (video_id, user_id)"
            f" SELECT LPAD(LOWER(HEX(1 + seq DIV {votes // videos})), 32, '0'), 10001 + seq % {votes // videos}"
            f" FROM seq_0_to_{votes - 1}"
        ),
        f"UPDATE videos SET votes = {votes // videos}",
        (
            "INSERT INTO standings (user_id, city, votes)"
            " SELECT u.id, u.city, SUM(v.votes) + u.id % 100"
            " FROM users u JOIN videos v ON v.user_id = u.id GROUP BY u.id, u.city"
        ),
        "ANALYZE TABLE users, videos, votes, standings",
    ]
    with closing(_long_connection(database, schema)) as connection, connection.cursor() as cursor:
        cursor.execute("SET unique_checks = 0, foreign_key_checks = 0")
        for statement in statements:
            cursor.execute(statement)
    return World(schema=schema, videos=videos, url=url)


def _long_connection(database: Database, schema: str) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=loopback.ADDRESS,
        port=database.port,
        user="admin",
        password=database.admin_password,
        database=schema,
        autocommit=True,
    )


# --- servers ------------------------------------------------------------------------------------------------


class Servers:
    """Starts gunicorns that differ in nothing but the application."""

    def __init__(self, stack: ExitStack, folder: Path, emulator: Emulator) -> None:
        self._stack, self.folder, self._emulator = stack, folder, emulator

    def __call__(
        self,
        application: str,
        world: World,
        *,
        chores: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Server:
        """Return a server for the application over the tables; it lasts as long as the stack.

        The chores are the API's own work beside the requests: the tally belongs to what a vote costs.
        """
        configuration = "anb_web.gunicorn_conf" if chores else "bench.api_floor"
        return self._stack.enter_context(self._serving(application, configuration, world, environment))

    @contextmanager
    def _serving(
        self, application: str, configuration: str, world: World, environment: Mapping[str, str]
    ) -> Iterator[Server]:
        port = next(p for p in range(21_000, 32_000) if loopback.is_free(p))
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", f"python:{configuration}", application],
            cwd=ROOT,
            env={
                **os.environ,
                **self._emulator.environment,
                "ANB_DATABASE_URL": world.url,
                "ANB_JWT_SECRET": SECRET,
                "ANB_WEB_BIND": f"{loopback.ADDRESS}:{port}",
                "TMPDIR": str(self.folder),
                **environment,
            },
            stdout=subprocess.DEVNULL,
        )
        try:
            while loopback.status(port, "/healthz") is None:
                if process.poll() is not None:
                    raise RuntimeError(f"{application} does not start")
                time.sleep(0.1)
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait()


# --- measurements -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    case: str
    measured: str
    target: str
    holds: bool


class Client:
    """Sends requests one after the other over one connection, as a load balancer does."""

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection(loopback.ADDRESS, server.port, timeout=60)

    def send(self, request: Request) -> tuple[float, bytes]:
        """Return the seconds that the answer took, and its body; anything but a 2xx is an error."""
        begun = time.perf_counter()
        self._connection.request(request.method, request.path, request.body, request.headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{request.method} {request.path}: {response.status} {body[:200]!r}")
        return time.perf_counter() - begun, body


def cpu_per_request(server: Server, sent: Sequence[Request]) -> float:
    """Return the server's CPU seconds for one of the requests."""
    client, before = Client(server), server.cpu_seconds()
    for request in sent:
        client.send(request)
    return (server.cpu_seconds() - before) / len(sent)


class Requests:
    """Makes the requests of each case; one for all that is measured, so that a vote is never the same twice."""

    def __init__(self, world: World) -> None:
        self._world, self._votes = world, 0
        app = Flask(__name__)
        tokens.install(app, secret=SECRET)
        with app.app_context():
            self.bearers = [{"Authorization": f"Bearer {tokens.issue(user)}"} for user in range(1, VOTERS // 2)]

    def public(self, path: str) -> Callable[[int], list[Request]]:
        """Return what makes so many requests for one public address."""
        return lambda count: [Request("GET", path, {})] * count

    def detail(self, count: int) -> list[Request]:
        """Return players' looks at their own videos."""
        numbers = [1 + n * 7919 % min(self._world.videos, len(self.bearers) - 1) for n in range(count)]
        # Video n belongs to player 1 + n
        return [Request("GET", f"/api/videos/{self._world.video_id(n)}", self.bearers[n]) for n in numbers]

    def vote(self, count: int) -> list[Request]:
        """Return votes of many voters for many videos."""
        first, self._votes = self._votes, self._votes + count
        return [self._vote(number) for number in range(first, first + count)]

    def _vote(self, number: int) -> Request:
        turn, voter = divmod(number, RETURNING_VOTERS)
        video = 1 + (voter * 7919 + turn) % (self._world.videos - 1)
        return Request("POST", f"/api/public/videos/{self._world.video_id(video)}/vote", self.bearers[voter])

    def login(self, count: int) -> list[Request]:
        """Return logins of different users."""
        return [
            Request(
                "POST",
                "/api/auth/login",
                {},
                json.dumps({"email": f"p{n + 1}@example.com", "password": PASSWORD}).encode(),
            )
            for n in range(count)
        ]


def compare(serve: Servers, world: World, make: Requests, *, rounds: int, count: int) -> Iterator[Line]:
    """Compare what a request costs with the least that it could cost."""
    api = serve(API, world, chores=True)
    floor = serve("bench.api_floor:handler()", world)
    for case, path in (("ranking", "/api/public/rankings"), ("public list", "/api/public/videos")):
        body = serve.folder / f"{case}.json"
        body.write_bytes(Client(api).send(Request("GET", path, {}))[1])
        constant = serve("bench.api_floor:constant()", world, environment={"BENCH_BODY": str(body)})
        yield ratio(
            f"{case}, to a constant of the same size",
            api=api,
            floor=constant,
            make=make.public(path),
            rounds=rounds,
            count=count,
            target=1.7,
        )
    yield ratio(
        "detail, to a bare handler with the same SQL",
        api=api,
        floor=floor,
        make=make.detail,
        rounds=rounds,
        count=count,
        target=2.0,
    )
    yield ratio(
        "vote, to a bare handler with the same SQL",
        api=api,
        floor=floor,
        make=make.vote,
        rounds=rounds,
        count=count,
        target=2.0,
    )
    login = statistics.median(cpu_per_request(api, make.login(10)) for _ in range(rounds)) * 1000
    yield Line("login", f"{login:.1f} ms", "at most 40 ms", login <= 40)


def ratio(
    case: str,
    *,
    api: Server,
    floor: Server,
    make: Callable[[int], list[Request]],
    rounds: int,
    count: int,
    target: float,
) -> Line:
    """Return the median of the rounds' ratios."""
    for server in (api, floor):
        cpu_per_request(server, make(200))  # warm up
    pairs = [(cpu_per_request(api, make(count)), cpu_per_request(floor, make(count))) for _ in range(rounds)]
    found = statistics.median(ours / least for ours, least in pairs)
    ours, least = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    print(f"{case}: {found:.2f} ({ours:.3f} / {least:.3f} ms)", file=sys.stderr)
    return Line(case, f"{found:.2f} ({ours:.2f} ms / {least:.2f} ms)", f"at most {target}", found <= target)


def flatness(
    serve: Servers, sizes: tuple[World, World], makers: tuple[Requests, Requests], *, rounds: int, count: int
) -> Iterator[Line]:
    """Compare the 95th percentile of the time over large tables with that over small ones."""
    worlds = [(serve(API, world, chores=True), make) for world, make in zip(sizes, makers, strict=True)]
    cases: list[tuple[str, list[Callable[[int], list[Request]]]]] = [
        ("ranking", [make.public("/api/public/rankings") for _, make in worlds]),
        ("ranking of a city", [make.public("/api/public/rankings?city=city+7") for _, make in worlds]),
        ("public list", [make.public("/api/public/videos") for _, make in worlds]),
        ("detail", [make.detail for _, make in worlds]),
        ("vote", [make.vote for _, make in worlds]),
    ]
    for case, of_sizes in cases:
        pairs = [
            [p95_ms(server, make(count)) for (server, _), make in zip(worlds, of_sizes, strict=True)]
            for _ in range(rounds + 1)  # the first warms up
        ]
        found = statistics.median(big / little for little, big in pairs[1:])
        little, big = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
        print(f"{case}: p95 {little:.2f} -> {big:.2f} ms", file=sys.stderr)
        yield Line(
            f"{case}: p95 over large tables to small",
            f"{found:.2f} ({big:.1f} ms / {little:.1f} ms)",
            "at most 1.5",
            found <= 1.5,
        )


def p95_ms(server: Server, sent: Sequence[Request]) -> float:
    """Return the time below which 95 % of the requests were answered."""
    client = Client(server)
    return statistics.quantiles([client.send(request)[0] * 1000 for request in sent], n=20)[-1]


def uploads(serve: Servers, world: World, make: Requests, folder: Path, *, rounds: int) -> Iterator[Line]:
    """Measure what a video of 100 MB costs the web processes, through them and past them.

    Without the chores: they run on while the object store writes, and would be counted as the upload's.
    """
    print(applications.raised_limits())
    api = serve(API, world, environment=applications.RAISED_LIMITS)
    clip = sample(folder)
    token = make.bearers[0]
    url = f"http://{loopback.ADDRESS}:{api.port}/api/videos"

    client = requests.Session()  # keeps its connection, as nginx does

    def through() -> requests.Response:
        with clip.open("rb") as file:
            sent = client.post(
                f"{url}/upload", headers=token, data={"title": "x"}, files={"video_file": file}, timeout=60
            )
        sent.raise_for_status()
        return sent

    def past() -> float:
        """Return the CPU seconds of both requests: between them the file passes the server by."""
        size = {"title": "x", "size": clip.stat().st_size}
        begun, before = _cpu_of(api, lambda: client.post(f"{url}/uploads", headers=token, json=size, timeout=60))
        form = begun.json()
        with clip.open("rb") as file:
            requests.post(form["url"], data=form["fields"], files={"file": file}, timeout=60).raise_for_status()
        complete = f"{url}/uploads/{form['video_id']}/complete"
        done, after = _cpu_of(api, lambda: client.post(complete, headers=token, timeout=60))
        done.raise_for_status()
        return before + after

    past()
    idle = api.peak_kib()
    direct = statistics.median(past() for _ in range(rounds)) * 1000
    multipart = statistics.median(_cpu_of(api, through)[1] for _ in range(rounds))
    added = (api.peak_kib() - idle) / 1024
    yield Line("direct upload of 100 MB", f"{direct:.1f} ms", "at most 30 ms", direct <= 30)
    yield Line("multipart upload of 100 MB", f"{multipart:.2f} s", "at most 0.6 s", multipart <= 0.6)
    yield Line("memory that it adds to the peak", f"{added:.0f} MB", "at most 32 MB", added <= 32)


def _cpu_of(server: Server, action: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    before = server.cpu_seconds()
    response = action()
    return response, server.cpu_seconds() - before


def sample(folder: Path) -> Path:
    """Write a valid video of exactly 100 MB: a small one and padding that its boxes declare."""
    path = make_sample(folder / "sample.mp4", seconds=20, fps=5)
    padding = 100 * MEBIBYTE - path.stat().st_size
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", padding, b"free") + bytes(padding - 8))
    return path


# --- the report ---------------------------------------------------------------------------------------------


def report(lines: Sequence[Line], arguments: argparse.Namespace) -> None:
    """Print the table; unless it was a quick run, put it into the page."""
    text = "\n".join(
        [
            (
                f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench-api`"
                f" ({arguments.rounds} rounds of {arguments.requests} requests): {performance_page.machine()}."
            ),
            "",
            "| case | measured | target | holds |",
            "|---|---|---|---|",
            *(
                f"| {each.case} | {each.measured} | {each.target} | {'yes' if each.holds else '**no**'} |"
                for each in lines
            ),
        ]
    )
    print(text)
    if not arguments.quick:
        performance_page.replace("bench-api", text)


if __name__ == "__main__":
    sys.exit(main())
