"""What does an attack cost the others?

Each attack floods the real system, while somebody asks for the health check and reads. The limits are on the 99th
percentile of the health check and on a login at the attack's end; no read may fail, and every refusal is a 503 that
says when to come back. slow_bodies.py adds the attack that takes places and disk rather than CPU.
"""

import itertools
import multiprocessing
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import requests

from bench import flood, slow_bodies
from bench.clips import free_box
from bench.figures import percentile
from bench.report import Report, table
from bench.system import PASSWORD, account, fill, log_in, running_api, video_id
from bench.visitors import Observed, Visit, visiting
from bench.wire import Request
from demo.samples import make_sample

MAX_HEALTH_P99_SECONDS, MAX_LOGIN_SECONDS = 1.0, 2.0
PLAYERS, VIDEOS = 200_000, 2_000
LOOKS = 90
QUICK_SECONDS = 5
PROBE_EVERY_SECONDS = 0.1
BOX_BYTES, BOXES = 70_000, 25  # of padding in a clip that is looked at: each box asks for a read of its own
HEADINGS = (
    *("attack", "asked", "done", "503", "others", "health p99, ms", "slowest, ms"),
    *("reads", "p95, ms", "failed", "login, s"),
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The system under attack, and what is in it."""

    url: str
    token: str  # of the player who has the first video
    clip: Path


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What is sent, and for how long."""

    name: str
    requests: Callable[[Target], Sequence[Request]]
    seconds: float
    per_second: float = 0  # or ten times what the machine can do


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An attack, what came of it, and what the others saw."""

    attack: str
    asked: str
    flood: flood.Outcome
    observed: Observed
    login_seconds: float

    def missed(self) -> list[str]:
        """Return a sentence for each limit that did not hold."""
        p99, outcome = percentile(self.observed.of("health"), 99), self.flood
        strange = {status: n for status, n in outcome.statuses.items() if status >= 500 and status != 503}
        limits = {
            f"the 99th percentile of the health check was {p99:.2f} s": p99 > MAX_HEALTH_P99_SECONDS,
            f"the first login after it took {self.login_seconds:.1f} s": self.login_seconds > MAX_LOGIN_SECONDS,
            f"{outcome.without_retry_after} refusals did not say when to come back": outcome.without_retry_after,
            f"it was answered with {strange}": strange,
            f"{outcome.broken} of its requests had no answer": outcome.broken,
        }
        found = [*sorted(set(self.observed.failures)), *(limit for limit, is_missed in limits.items() if is_missed)]
        return [f"{self.attack}: {each}" for each in found]

    def to_row(self) -> tuple[object, ...]:
        """Return it for the table."""
        statuses, health, reads = self.flood.statuses, self.observed.of("health"), self.observed.of("read")
        done = statuses[200] + statuses[201]
        return (
            self.attack,
            self.asked,
            done,
            statuses[503],
            self.flood.sent - done - statuses[503],
            f"{percentile(health, 99) * 1000:.0f}",
            f"{max(health) * 1000:.0f}",
            len(reads),
            f"{percentile(reads, 95) * 1000:.0f}",
            len(self.observed.failures),
            f"{self.login_seconds:.2f}",
        )


def measure(*, quick: bool) -> Report:
    """Answer for each attack; it takes some four minutes."""
    generator = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with generator, tempfile.TemporaryDirectory(prefix="bench-") as folder, running_api() as system:
        fill(system.environment["ANB_DATABASE_URL"], players=PLAYERS, owners=PLAYERS, videos=VIDEOS)
        target = Target(url=system.url, token=log_in(system.url, 2), clip=_padded_clip(Path(folder)))
        outcomes = [
            _outcome(target, attack, generator, seconds=QUICK_SECONDS if quick else attack.seconds)
            for attack in ATTACKS
        ]
        slow = slow_bodies.attack(
            system.url,
            player=3 + LOOKS,
            clip=target.clip,
            servers=[system.pid("web"), system.pid("nginx")],
        )
    return Report(
        conditions=f"{flood.ADDRESSES} addresses",
        text=f"{table(HEADINGS, (outcome.to_row() for outcome in outcomes))}\n\n{slow.to_markdown()}",
        missed=[limit for outcome in outcomes for limit in outcome.missed()] + slow.missed(),
        figures=[*outcomes, slow],
    )


def _padded_clip(folder: Path) -> Path:
    """Write a clip whose index lies behind many boxes of padding, each of which a look has to step over."""
    clip = make_sample(folder / "clip.mp4", seconds=21, fps=5)
    content = clip.read_bytes()
    first = int.from_bytes(content[:4], "big")
    clip.write_bytes(content[:first] + free_box(BOX_BYTES) * BOXES + content[first:])
    return clip


def _outcome(target: Target, attack: Attack, generator: Executor, *, seconds: float) -> Outcome:
    sent, per_second = [each.to_bytes() for each in attack.requests(target)], attack.per_second
    asked = f"{per_second:.0f}/s"
    if not per_second:
        possible = generator.submit(flood.capacity, target.url, sent, connections=4, seconds=5).result()
        per_second = 10 * possible
        asked = f"{per_second:.0f}/s; alone {possible:.0f}/s"
        sent = [*sent[len(sent) // 4 :], *sent[: len(sent) // 4]]  # those that were used last
    click.echo(f"{attack.name}: {per_second:.0f} a second for {seconds:.0f} s", err=True)
    # A balancer asks on a new connection each time
    with visiting(target.url, *_visits(target), pause_seconds=PROBE_EVERY_SECONDS, keep_alive=False) as observed:
        flooded = generator.submit(flood.at_rate, target.url, sent, per_second=per_second, seconds=seconds).result()
        begun = time.perf_counter()
        log_in(target.url, 1)
        login_seconds = time.perf_counter() - begun
    return Outcome(attack=attack.name, asked=asked, flood=flooded, observed=observed, login_seconds=login_seconds)


def _visits(target: Target) -> tuple[Iterator[Visit], Iterator[Visit]]:
    """Return the health check's requests and a reader's."""
    own = f"/api/videos/{video_id(1)}"
    reads = ("/api/public/videos", "/api/public/rankings", own, "/")
    return (
        itertools.cycle([("health", Request("GET", "/healthz"))]),
        itertools.cycle([("read", Request("GET", path, target.token)) for path in reads]),
    )


# --- the attacks --------------------------------------------------------------------------------------------


def _logins(_: Target) -> list[Request]:
    return [Request("POST", "/api/auth/login", body=account(100 + n)) for n in range(5000)]


def _sign_ups(_: Target) -> list[Request]:
    person = {"first_name": "Ana", "last_name": "Gil", "city": "Cali", "country": "Colombia"}
    passwords = {"password1": PASSWORD, "password2": PASSWORD}
    bodies = ({**person, **passwords, "email": f"{uuid.uuid4().hex}@example.com"} for _ in range(20_000))
    return [Request("POST", "/api/auth/signup", body=body) for body in bodies]


def _deep_pages(_: Target) -> list[Request]:
    pages = random.sample(range(PLAYERS // 40, PLAYERS // 20), 4000)
    return [Request("GET", f"/api/public/rankings?page={page}&page_size=20") for page in pages]


def _looks(target: Target) -> list[Request]:
    """Reserve and fill a direct upload for each of many players; return the requests that complete them."""
    found = []
    for player in range(3, 3 + LOOKS):
        token = log_in(target.url, player)
        form = requests.post(
            f"{target.url}/api/videos/uploads",
            headers={"Authorization": f"Bearer {token}"},
            json={"title": "Mi mejor tiro", "size": target.clip.stat().st_size},
            timeout=30,
        ).json()
        with target.clip.open("rb") as file:
            requests.post(form["url"], data=form["fields"], files={"file": file}, timeout=30).raise_for_status()
        found.append(Request("POST", f"/api/videos/uploads/{form['video_id']}/complete", token=token))
    return found


ATTACKS = (
    Attack(name="logins", requests=_logins, seconds=60),
    Attack(name="sign-ups", requests=_sign_ups, seconds=30),
    Attack(name="looks", requests=_looks, seconds=20, per_second=LOOKS),
    Attack(name="deep ranking pages", requests=_deep_pages, seconds=30),
)
