"""Shows that the honest are served while others attack: `make abuse`, in less than five minutes.

Each attack floods the real system, while a prober asks for the health check and reads. The table goes to
docs/performance.md; the exit status is 1 when a target is missed: the 99th percentile of the health check at most a
second, no failed read, every refusal a 503 that says when to come back, and a login within 2 s of the attack's end.
slow_bodies.py adds the one that takes places and disk rather than CPU.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import requests

from anb import accounts
from bench import flood, slow_bodies
from bench import report as performance_page
from local import loopback
from local.samples import make_sample
from local.system import SERVICES, System, running_system

HEALTH_P99_SECONDS, LOGIN_SECONDS = 1.0, 2.0
PLAYERS, PLACES, VIDEOS = 200_000, 200_000, 2_000
LOOKS = 90
SLOW_BODIES = "slow bodies"
PASSWORD = "StrongPass123"  # noqa: S105 of invented players
PROBE_EVERY_SECONDS = 0.1
_BOX_BYTES, _BOXES = 70_000, 25  # of padding in a clip that is looked at: each box asks for a read of its own


@dataclass(frozen=True)
class World:
    """The system under attack, and who and what is in it."""

    url: str
    token: str  # of the player who has all the videos
    clip: Path
    processes: tuple[int, int]  # gunicorn's and nginx's


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What is sent, how long, and how often: so many times what the machine can do, or so many a second."""

    name: str
    requests: Callable[[World], Sequence[bytes]]
    seconds: float
    times_capacity: float = 0
    per_second: float = 0


@dataclass
class Probes:
    """What somebody saw who only looked on."""

    health_seconds: list[float] = field(default_factory=list)
    read_seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Row:
    """An attack, and what came of it."""

    attack: str
    asked: str
    outcome: flood.Outcome
    probes: Probes
    login_seconds: float

    def problems(self) -> list[str]:
        """Return a sentence for each target that was missed."""
        found = sorted(set(self.probes.failures))
        if (p99 := _percentile(self.probes.health_seconds, 99)) > HEALTH_P99_SECONDS:
            found.append(f"the 99th percentile of the health check was {p99:.2f} s")
        if self.login_seconds > LOGIN_SECONDS:
            found.append(f"the first login after it took {self.login_seconds:.1f} s")
        if self.outcome.without_retry_after:
            found.append(f"{self.outcome.without_retry_after} refusals did not say when to come back")
        if strange := {s: n for s, n in self.outcome.statuses.items() if s >= 500 and s != 503}:
            found.append(f"it was answered with {strange}")
        if self.outcome.broken:
            found.append(f"{self.outcome.broken} of its requests had no answer")
        return [f"{self.attack}: {problem}" for problem in found]

    def to_markdown(self) -> str:
        """Return it as a row of the table."""
        outcome, probes = self.outcome, self.probes
        done = outcome.statuses[200] + outcome.statuses[201]
        return (
            f"| {self.attack} | {self.asked} | {done} | {outcome.statuses[503]}"
            f" | {outcome.sent - done - outcome.statuses[503]}"
            f" | {_percentile(probes.health_seconds, 99) * 1000:.0f} | {max(probes.health_seconds) * 1000:.0f}"
            f" | {len(probes.read_seconds)} | {_percentile(probes.read_seconds, 95) * 1000:.0f}"
            f" | {len(probes.failures)} | {self.login_seconds:.2f} |"
        )


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the name of one attack; the page stays as it is")
    arguments = parser.parse_args()
    attacks = [attack for attack in ATTACKS if arguments.only in {None, attack.name}]
    generator = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with generator, _world() as world:
        rows = [_attack(world, attack, generator) for attack in attacks]
        slow = None
        if arguments.only in {None, SLOW_BODIES}:
            slow = slow_bodies.attack(world.url, _token(world.url, 2 + LOOKS), world.clip, processes=world.processes)
    return _report(rows, slow, write=not arguments.only)


# --- the system ---------------------------------------------------------------------------------------------


@contextmanager
def _world() -> Iterator[World]:
    with (
        tempfile.TemporaryDirectory(prefix="abuse-") as folder,
        running_system(Path(folder) / "system", services=set(SERVICES) - {"worker"}) as system,
    ):
        while requests.get(f"{system.url}/readyz", timeout=10).status_code != 200:
            time.sleep(0.1)
        _fill(system)
        yield World(
            url=system.url,
            token=_token(system.url, 1),
            clip=_padded_clip(Path(folder)),
            processes=(system.pid("web"), system.pid("nginx")),
        )


def _fill(system: System) -> None:
    """Make players, a place in the ranking for each, and videos of the first one that are open to votes."""
    password_hash = accounts.hash_password(PASSWORD)
    statements = (
        (
            "INSERT INTO users (id, email, first_name, last_name, city, country, password_hash)"
            " SELECT seq, CONCAT('p', seq, '@example.com'), 'Ana', CONCAT('Gil ', seq), CONCAT('City ', seq % 50),"
            f" 'Colombia', '{password_hash}' FROM seq_1_to_{PLAYERS}"
        ),
        f"INSERT INTO standings (user_id, city, votes) SELECT id, city, id % 1000 FROM users LIMIT {PLACES}",
        (
            "INSERT INTO videos (id, user_id, title, status, request_id, uploaded_at, processed_at, attempt)"
            " SELECT LPAD(LOWER(HEX(seq)), 32, '0'), 1, CONCAT('Video ', seq), 'processed', 'abuse',"
            f" UTC_TIMESTAMP(), UTC_TIMESTAMP(), 1 FROM seq_1_to_{VIDEOS}"
        ),
        "ANALYZE TABLE users, standings, videos",
    )
    schema = system.environment["ANB_DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    with closing(_connection(system, schema)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _connection(system: System, schema: str) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=loopback.ADDRESS,
        port=system.database.port,
        user="admin",
        password=system.database.admin_password,
        database=schema,
        autocommit=True,
    )


def _padded_clip(folder: Path) -> Path:
    """Write a clip whose index lies behind many boxes of padding, each of which a look has to step over."""
    clip = make_sample(folder / "clip.mp4", seconds=21, fps=5)
    content = clip.read_bytes()
    first = int.from_bytes(content[:4], "big")
    box = _BOX_BYTES.to_bytes(4, "big") + b"free" + bytes(_BOX_BYTES - 8)
    clip.write_bytes(content[:first] + box * _BOXES + content[first:])
    return clip


def _token(url: str, player: int) -> str:
    answer = requests.post(f"{url}/api/auth/login", json=_account(player), timeout=30)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _account(player: int) -> dict[str, str]:
    return {"email": f"p{player}@example.com", "password": PASSWORD}


# --- the attacks --------------------------------------------------------------------------------------------


def _logins(_: World) -> list[bytes]:
    return [
        flood.request("POST", "/api/auth/login", body=json.dumps(_account(100 + number)).encode())
        for number in range(5000)
    ]


def _sign_ups(_: World) -> list[bytes]:
    person = {"first_name": "Ana", "last_name": "Gil", "city": "Cali", "country": "Colombia"}
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    bodies = ({**person, **passwords, "email": f"{uuid.uuid4().hex}@example.com"} for _ in range(20_000))
    return [flood.request("POST", "/api/auth/signup", body=json.dumps(body).encode()) for body in bodies]


def _deep_pages(_: World) -> list[bytes]:
    pages = random.sample(range(PLACES // 40, PLACES // 20), 4000)
    return [flood.request("GET", f"/api/public/rankings?page={page}&page_size=20") for page in pages]


def _looks(world: World) -> list[bytes]:
    """Reserve and fill a direct upload for each of many players; return the requests that complete them."""
    found = []
    for player in range(2, 2 + LOOKS):
        token = _token(world.url, player)
        form = requests.post(
            f"{world.url}/api/videos/uploads",
            headers={"Authorization": f"Bearer {token}"},
            json={"title": "Mi mejor tiro", "size": world.clip.stat().st_size},
            timeout=30,
        ).json()
        with world.clip.open("rb") as file:
            requests.post(form["url"], data=form["fields"], files={"file": file}, timeout=30).raise_for_status()
        found.append(flood.request("POST", f"/api/videos/uploads/{form['video_id']}/complete", token=token))
    return found


ATTACKS = (
    Attack(name="logins", requests=_logins, seconds=60, times_capacity=10),
    Attack(name="sign-ups", requests=_sign_ups, seconds=30, times_capacity=10),
    Attack(name="looks", requests=_looks, seconds=20, per_second=LOOKS),
    Attack(name="deep ranking pages", requests=_deep_pages, seconds=30, times_capacity=10),
)


def _attack(world: World, attack: Attack, generator: Executor) -> Row:
    sent, asked = attack.requests(world), f"{attack.per_second:.0f}/s"
    per_second = attack.per_second
    if attack.times_capacity:
        possible = generator.submit(flood.capacity, world.url, sent, connections=4, seconds=5).result()
        per_second = attack.times_capacity * possible
        asked = f"{per_second:.0f}/s; alone {possible:.0f}/s"
        sent = [*sent[len(sent) // 4 :], *sent[: len(sent) // 4]]  # those that were used last
    print(f"{attack.name}: {per_second:.0f} a second for {attack.seconds:.0f} s", file=sys.stderr)
    over, probes = threading.Event(), Probes()
    probers = [threading.Thread(target=ask, args=(world, probes, over)) for ask in (_ask_for_health, _read)]
    for prober in probers:
        prober.start()
    try:
        outcome = generator.submit(
            flood.at_rate, world.url, sent, per_second=per_second, seconds=attack.seconds
        ).result()
    finally:
        over.set()
    begun = time.perf_counter()
    _token(world.url, 1)
    login_seconds = time.perf_counter() - begun
    for prober in probers:
        prober.join()
    row = Row(attack=attack.name, asked=asked, outcome=outcome, probes=probes, login_seconds=login_seconds)
    print(row.to_markdown(), dict(outcome.statuses), file=sys.stderr)
    return row


def _ask_for_health(world: World, probes: Probes, over: threading.Event) -> None:
    while not over.wait(PROBE_EVERY_SECONDS):
        _probe(world, "/healthz", probes, probes.health_seconds)


def _read(world: World, probes: Probes, over: threading.Event) -> None:
    video_id = uuid.UUID(int=1)
    while not over.is_set():
        for path in ("/api/public/videos", "/api/public/rankings", f"/api/videos/{video_id}", "/"):
            over.wait(PROBE_EVERY_SECONDS)
            _probe(world, path, probes, probes.read_seconds)


def _probe(world: World, path: str, probes: Probes, seconds: list[float]) -> None:
    """Ask on a new connection, as a load balancer does."""
    begun = time.perf_counter()
    try:
        answer = requests.get(f"{world.url}{path}", headers={"Authorization": f"Bearer {world.token}"}, timeout=20)
        failure = "" if answer.ok else f"{path}: {answer.status_code}"
    except requests.RequestException as error:
        failure = f"{path}: {type(error).__name__}"
    seconds.append(time.perf_counter() - begun)
    if failure:
        probes.failures.append(failure)


# --- the report ---------------------------------------------------------------------------------------------


def _report(rows: Sequence[Row], slow: slow_bodies.Observed | None, *, write: bool) -> int:
    problems = [problem for row in rows for problem in row.problems()]
    problems += slow.problems() if slow else []
    text = "\n".join(
        [
            f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make abuse`: {performance_page.machine()}.",
            "",
            (
                "| attack | asked | done | 503 | others | health p99, ms | slowest, ms"
                " | reads | p95, ms | failed | login, s |"
            ),
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *(row.to_markdown() for row in rows),
            "",
            *([slow.to_markdown(), ""] if slow else []),
            ("Every target was met." if not problems else "Missed: " + "; ".join(problems) + "."),
        ]
    )
    print(text)
    if write:
        performance_page.replace("abuse", text)
    return 1 if problems else 0


def _percentile(seconds: Sequence[float], number: int) -> float:
    return statistics.quantiles(seconds, n=100)[number - 1]


if __name__ == "__main__":
    sys.exit(main())
