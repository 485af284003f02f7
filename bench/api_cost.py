"""What does a request cost, against the least that it could?

CPU is that of the server's processes, user and system, divided by the number of requests. The API and the floor that
it is compared with (api_floor.py) take turns within one run.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click
import requests
from flask import Flask

from anb_web import tokens
from bench.clips import free_box
from bench.figures import Rounds, percentile
from bench.report import CannotMeasure, Report, table
from bench.system import account, fill, video_id
from bench.wire import Request
from demo.samples import make_sample
from local import applications, console, loopback, processes
from local.supervisor import Service, Supervisor
from local.system import System, running_system

API, CONFIGURATION, FLOOR = "anb_web:create_app()", "anb_web.gunicorn_conf", "bench.api_floor"
SMALL_VIDEOS, LARGE_VIDEOS = 1_000, 1_000_000
VOTES_FOR_EACH, VIDEOS_OF_EACH = 10, 10
MIN_PLAYERS = 20_000
KNOWN_PLAYERS = 10_000  # who have a token
RETURNING_VOTERS = 500  # who vote again and again; nobody votes twice for a video
UPLOAD_BYTES = 100 * 1024 * 1024
RANKING, PUBLIC_LIST = "/api/public/rankings", "/api/public/videos"
MAX_LIST_RATIO, MAX_ROW_RATIO, MAX_GROWTH = 1.7, 2.0, 1.5
_RANKING = "ranking, to a constant of the same size"
_LIST = "public list, to a constant of the same size"
_DETAIL = "detail, to a bare handler with the same SQL"
_VOTE = "vote, to a bare handler with the same SQL"
_RATIO_LIMITS = {
    _RANKING: MAX_LIST_RATIO,
    _LIST: MAX_LIST_RATIO,
    _DETAIL: MAX_ROW_RATIO,
    _VOTE: MAX_ROW_RATIO,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A row of the table; the rounds are milliseconds."""

    name: str
    value: float
    limit: float
    unit: str = ""
    rounds: Rounds | None = None

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return self.value <= self.limit

    def to_row(self) -> tuple[str, str, str, str]:
        """Return it for the table."""
        medians = " ({:.2f} ms / {:.2f} ms)".format(*self.rounds.medians) if self.rounds else ""
        limit = f"at most {self.limit:g}{self.unit}"
        return self.name, f"{self.value:.3g}{self.unit}{medians}", limit, "yes" if self.holds else "**no**"


@dataclass(frozen=True)
class Effort:
    """How often everything is done. What the machine does beside us disturbs some of many short rounds."""

    rounds: int
    requests: int  # per case, side and round
    starts: int  # of the servers that are compared, who share the rounds


Make = Callable[[int], Sequence[Request]]
"""Makes so many requests of a case."""
Side = tuple[Callable[[Sequence[Request]], float], Make]
"""What is measured of the requests, and what makes them."""


def measure(*, quick: bool) -> Report:
    """Answer for reads, votes, logins and uploads; quick: the large tables are filled like the small ones."""
    effort = Effort(rounds=3, requests=20, starts=1) if quick else Effort(rounds=50, requests=100, starts=5)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        running_system(Path(name) / "system", services=("database", "emulator")) as system,
    ):
        small = Tables(system, "small", videos=SMALL_VIDEOS)
        bare = Tables(system, "bare", videos=SMALL_VIDEOS)
        large = Tables(system, "large", videos=SMALL_VIDEOS if quick else LARGE_VIDEOS)
        cases = []
        for case in itertools.chain(
            compare(small, bare, effort, Path(name)), grow(small, large, effort), upload(small, effort, Path(name))
        ):
            click.echo(" | ".join(case.to_row()), err=True)
            cases.append(case)
    return Report(
        conditions=(
            f"{effort.rounds} rounds of {effort.requests} requests, over {effort.starts} starts of what is compared"
        ),
        text=table(("case", "measured", "limit", "holds"), (case.to_row() for case in cases)),
        missed=[": ".join(case.to_row()[:2]) for case in cases if not case.holds],
        figures=cases,
    )


class Tables:
    """Filled tables, and the requests that can be made of them; none makes the same vote twice."""

    def __init__(self, system: System, schema: str, *, videos: int) -> None:
        click.echo(f"filling {schema}: {videos} videos", err=True)
        url = system.database.admin_url.replace("/?", f"/{schema}?")
        with system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {schema}")
        players = max(MIN_PLAYERS, videos // VIDEOS_OF_EACH)
        fill(url, players=players, owners=min(videos, players), videos=videos, votes_for_each=VOTES_FOR_EACH)
        self.settings = {**system.environment, "ANB_DATABASE_URL": url}
        self.tokens = _tokens(self.settings["ANB_JWT_SECRET"])
        self._videos, self._votes = videos, itertools.count()

    def detail(self, count: int) -> list[Request]:
        """Return players' looks at their own videos."""
        numbers = [1 + n * 7919 % min(self._videos - 1, KNOWN_PLAYERS - 1) for n in range(count)]
        return [Request("GET", f"/api/videos/{video_id(n)}", self.tokens[1 + n]) for n in numbers]

    def vote(self, count: int) -> list[Request]:
        """Return votes of many voters for many videos."""
        return [self._vote(number) for number in itertools.islice(self._votes, count)]

    def _vote(self, number: int) -> Request:
        turn, voter = divmod(number, RETURNING_VOTERS)
        video = 1 + (voter * 7919 + turn) % (self._videos - 1)
        # Each from an address of their own, of which none votes so often that its votes are held
        address = str(IPv4Address("198.18.0.0") + voter)
        path = f"/api/public/videos/{video_id(video)}/vote"
        return Request("POST", path, self.tokens[1 + voter], client_address=address)


def public(path: str) -> Make:
    """Return what makes requests for a public address."""
    return lambda count: [Request("GET", path)] * count


def search(query: str) -> Make:
    """Return what makes requests for public videos, none of which is answered with what is kept for a second."""
    numbers = itertools.count()
    return lambda count: [Request("GET", f"{PUBLIC_LIST}?{query}&asked={next(numbers)}") for _ in range(count)]


def login(count: int) -> list[Request]:
    """Return logins of different players."""
    return [Request("POST", "/api/auth/login", body=account(1 + n)) for n in range(count)]


def _tokens(secret: str) -> dict[int, str]:
    app = Flask(__name__)
    tokens.install(app, secret=secret)
    with app.app_context():
        return {player: tokens.issue(player) for player in range(1, KNOWN_PLAYERS + 1)}


# --- servers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A gunicorn that serves, as it serves on an instance."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return what its processes have used so far."""
        return processes.cpu_seconds([self.pid, *processes.children(self.pid)])

    def peak_mib(self) -> float:
        """Return the most memory that one of its workers has held."""
        return processes.peak_kib(processes.children(self.pid)) / 1024

    def send(self, sent: Iterable[Request]) -> Iterator[tuple[float, bytes]]:
        """Send the requests in turn over one connection, as a load balancer does; yield milliseconds and bodies."""
        with closing(HTTPConnection(loopback.ADDRESS, self.port, timeout=60)) as connection:
            for request in sent:
                begun = time.perf_counter()
                connection.request(request.method, request.path, request.content or None, request.headers)
                response = connection.getresponse()
                body = response.read()
                if response.status >= 300:
                    raise CannotMeasure(f"{request.method} {request.path}: {response.status} {body[:200]!r}")
                yield (time.perf_counter() - begun) * 1000, body

    def p95_ms(self, sent: Sequence[Request]) -> float:
        """Return the time within which 95 % of the requests are answered."""
        return percentile([milliseconds for milliseconds, _ in self.send(sent)], 95)

    def cpu_ms(self, sent: Sequence[Request]) -> float:
        """Return the CPU time of one of the requests."""
        before = self.cpu_seconds()
        list(self.send(sent))
        return (self.cpu_seconds() - before) * 1000 / len(sent)


@contextmanager
def serving(application: str, settings: Mapping[str, str], *, configuration: str = CONFIGURATION) -> Iterator[Server]:
    """Serve the application until the block ends; servers differ in it and in their configuration alone.

    The API's own configuration runs the periodic tasks beside the requests: the tally belongs to what a vote costs.
    """
    port = next(port for port in range(21_000, 32_000) if loopback.is_free(port))
    web = applications.web(settings, port=port)
    command = [*web.command[:-3], "--config", f"python:{configuration}", application]
    service = Service(
        name=web.name,
        command=["sh", "-c", 'exec "$0" "$@" >/dev/null', *command],  # nobody pays for reading the log
        environment=web.environment,
        is_ready=lambda: loopback.status(port, "/healthz") is not None,
    )
    supervisor = Supervisor([service], write=console.ignore)
    try:
        supervisor.start_all()
        yield Server(port, supervisor.pid(web.name))
    finally:
        supervisor.stop_all()


# --- measurements -------------------------------------------------------------------------------------------


def compare(tables: Tables, bare: Tables, effort: Effort, folder: Path) -> Iterator[Case]:
    """Compare what a request costs with the least that it could cost.

    The bare handler has tables of its own, so that the API does not count its votes too.
    """
    # Where in memory a process happens to lie moves a ratio by a tenth, for as long as it lives: many short lives
    share = replace(effort, rounds=effort.rounds // effort.starts)
    starts = [dict(_compare_once(tables, bare, share, folder)) for _ in range(effort.starts)]
    for name, limit in _RATIO_LIMITS.items():
        rounds = Rounds([pair for start in starts for pair in start[name].pairs])
        yield _ratio(name, rounds, limit=limit)
    with serving(API, tables.settings) as api:
        cpu_ms = statistics.median(api.cpu_ms(login(10)) for _ in range(effort.rounds))
    yield Case(name="login", value=cpu_ms, limit=40, unit=" ms")


def _compare_once(tables: Tables, bare: Tables, effort: Effort, folder: Path) -> Iterator[tuple[str, Rounds]]:
    with serving(API, tables.settings) as api:
        for name, path in ((_RANKING, RANKING), (_LIST, PUBLIC_LIST)):
            body = folder / "body.json"
            body.write_bytes(next(api.send([Request("GET", path)]))[1])
            settings = {**tables.settings, "BENCH_BODY": str(body)}
            with serving(f"{FLOOR}:constant()", settings, configuration=FLOOR) as constant:
                yield name, _rounds(effort, (api.cpu_ms, public(path)), (constant.cpu_ms, public(path)))
        with serving(f"{FLOOR}:handler()", bare.settings, configuration=FLOOR) as handler:
            for name, make, make_bare in ((_DETAIL, tables.detail, bare.detail), (_VOTE, tables.vote, bare.vote)):
                yield name, _rounds(effort, (api.cpu_ms, make), (handler.cpu_ms, make_bare))


def _ratio(name: str, rounds: Rounds, *, limit: float) -> Case:
    return Case(name=name, value=rounds.ratio, limit=limit, rounds=rounds)


def _rounds(effort: Effort, one: Side, other: Side) -> Rounds:
    def measured(side: Side, count: int) -> float:
        measure_side, make = side
        return measure_side(make(count))

    for side in (one, other):
        measured(side, 200)  # warm up
    return Rounds([(measured(one, effort.requests), measured(other, effort.requests)) for _ in range(effort.rounds)])


def grow(small: Tables, large: Tables, effort: Effort) -> Iterator[Case]:
    """Compare the 95th percentile of the time over large tables with that over small ones."""
    cases = {
        "ranking": (public(RANKING),) * 2,
        "ranking of a city": (public(f"{RANKING}?city=city+7"),) * 2,
        "public list": (public(PUBLIC_LIST),) * 2,
        "most voted": (search("sort=votes"),) * 2,
        "public list of a city": (search("city=city+7"),) * 2,
        "a word of one video": (search("q=77"),) * 2,
        "a word of one in 50": (search("q=club7"),) * 2,
        "a word of a tenth, most voted": (search("q=gil7&sort=votes"),) * 2,
        "a word of all": (search("q=video"),) * 2,
        "two words": (search("q=club7+gil7"),) * 2,
        "a word in a city": (search("q=gil6&city=city+7"),) * 2,
        "detail": (large.detail, small.detail),
        "vote": (large.vote, small.vote),
    }
    with serving(API, small.settings) as of_small, serving(API, large.settings) as of_large:
        for name, (make_large, make_small) in cases.items():
            rounds = _rounds(effort, (of_large.p95_ms, make_large), (of_small.p95_ms, make_small))
            yield _ratio(f"{name}: p95 over large tables to small", rounds, limit=MAX_GROWTH)


def upload(tables: Tables, effort: Effort, folder: Path) -> Iterator[Case]:
    """Measure what a video of 100 MB costs the web processes, through them and past them.

    Without the periodic tasks: they run on while the object store writes, and would be counted as the upload's.
    """
    click.echo(applications.raised_limits(), err=True)
    settings = {**tables.settings, **applications.RAISED_LIMITS}
    clip = _large_clip(folder)
    with serving(API, settings, configuration=FLOOR) as api, requests.Session() as client:
        client.headers["Authorization"] = f"Bearer {tables.tokens[1]}"
        past_seconds, through_seconds = partial(_past, api, client, clip), partial(_through, api, client, clip)
        past_seconds()
        idle = api.peak_mib()
        direct = statistics.median(past_seconds() for _ in range(effort.rounds)) * 1000
        multipart = statistics.median(through_seconds() for _ in range(effort.rounds))
        added = api.peak_mib() - idle
    yield Case(name="direct upload of 100 MB", value=direct, limit=30, unit=" ms")
    yield Case(name="multipart upload of 100 MB", value=multipart, limit=0.6, unit=" s")
    yield Case(name="memory that it adds to the peak", value=added, limit=32, unit=" MB")


def _through(api: Server, client: requests.Session, clip: Path) -> float:
    """Send the clip through the API; return its CPU seconds."""
    before = api.cpu_seconds()
    with clip.open("rb") as file:
        _post(api, client, "upload", data={"title": "x"}, files={"video_file": file})
    return api.cpu_seconds() - before


def _past(api: Server, client: requests.Session, clip: Path) -> float:
    """Send the clip to the object store; return the API's CPU seconds for both requests, while nothing else runs."""
    before = api.cpu_seconds()
    form = _post(api, client, "uploads", json={"title": "x", "size": clip.stat().st_size}).json()
    reserved = api.cpu_seconds()
    with clip.open("rb") as file:
        requests.post(form["url"], data=form["fields"], files={"file": file}, timeout=60).raise_for_status()
    stored = api.cpu_seconds()
    _post(api, client, f"uploads/{form['video_id']}/complete")
    return reserved - before + api.cpu_seconds() - stored


def _post(api: Server, client: requests.Session, path: str, **content: Any) -> requests.Response:
    answer = client.post(f"http://{loopback.ADDRESS}:{api.port}/api/videos/{path}", timeout=60, **content)
    answer.raise_for_status()
    return answer


def _large_clip(folder: Path) -> Path:
    """Write a valid video of exactly 100 MB: a small one and padding that its boxes declare."""
    path = make_sample(folder / "sample.mp4", seconds=20, fps=5)
    with path.open("ab") as file:
        file.write(free_box(UPLOAD_BYTES - path.stat().st_size))
    return path
