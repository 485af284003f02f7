"""Where a scenario is played: a running world, its clients, and the verdict at the end."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.emulator import DEAD_LETTERS
from tests.faults.clients import Clients
from tests.faults.clips import make_bad_clip, make_clip
from tests.faults.oracle import History, Verdict, judge
from tests.faults.world import Order, World, running_world
from tests.waiting import until


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the report."""

    scenario: str
    clock: str
    runs: int
    verdict: Verdict


@dataclass
class Stage:
    """A world, and what the players of its scenarios upload."""

    world: World
    clip: Path
    bad_clip: Path
    small_clip: Path
    small_disks: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)
    _seeded: dict[int, int] = field(default_factory=dict)

    @property
    def workers(self) -> list[str]:
        """The workers with room enough."""
        return [name for name in self.world.workers if name not in self.small_disks]

    def begin(self, *, workers: int | None = None) -> Clients:
        """Calm everything, have that many workers run (all of them, if nothing is said), and bring a player."""
        self.world.calm()
        self.world.emulator.create_resources()
        self.world.sqs.purge_queue(QueueUrl=self.world.queue_url(DEAD_LETTERS))
        running = self.workers[: len(self.workers) if workers is None else workers]
        self.stop([name for name in self.world.workers if name not in running])
        self.start(running)
        return Clients(self.world, History(), self.clip)

    def end(self, scenario: str, clients: Clients, *, runs: int = 1, **expected: Any) -> Verdict:
        """Judge what is there now, and put it into the report."""
        verdict = judge(self.world, clients.history, **expected)
        self.rows.append(Row(scenario=scenario, clock=self.world.clock, runs=runs, verdict=verdict))
        return verdict

    def stop(self, workers: Sequence[str]) -> None:
        """Stop workers, side by side."""
        with ThreadPoolExecutor(max(1, len(workers))) as pool:
            list(pool.map(self.world.stop, workers))

    def start(self, workers: Sequence[str]) -> None:
        """Start workers, side by side."""
        with ThreadPoolExecutor(max(1, len(workers))) as pool:
            list(pool.map(self.world.start, workers))

    def source(self, video_id: str) -> str:
        """Where the copy of a video's source lies that was accepted."""
        query = "SELECT source FROM anb.videos WHERE id = %s"
        ((source,),) = self.world.rows(query, video_id.replace("-", ""))
        return f"uploads/{video_id}/{source}/source.mp4"

    def status(self, video_id: str) -> tuple[str, int, int]:
        """Status, attempt and crashes of a video."""
        query = "SELECT status, attempt, crashes FROM anb.videos WHERE id = %s"
        ((status, attempt, crashes),) = self.world.rows(query, video_id.replace("-", ""))
        return str(status), int(attempt), int(crashes)

    def await_status(self, video_id: str, *statuses: str, seconds: float = 90) -> None:
        """Wait until a video has one of these."""
        until(lambda: self.status(video_id)[0] in statuses, seconds=seconds, what=f"{video_id} is {statuses}")

    def await_orders(self, orders: Sequence[Order], *, seconds: float = 120) -> None:
        """Wait until all have been obeyed."""
        until(
            lambda: all(order.is_taken() for order in orders),
            seconds=seconds,
            what=f"orders taken, of {[order.path.name for order in orders if not order.is_taken()]}",
        )

    def unfinished(self, clients: Clients) -> int:
        """How many of the players' videos have not ended yet."""
        marks = ", ".join(["%s"] * len(clients.history.players))
        query = f"SELECT COUNT(*) FROM anb.videos WHERE status IN ('uploaded', 'processing') AND user_id IN ({marks})"  # noqa: S608 marks only
        ((number,),) = self.world.rows(query, *clients.history.players)
        return int(number)

    def stored(self, key: str) -> bool:
        """Whether there is an object under the key."""
        return key in self.world.keys()  # noqa: SIM118 it is no dictionary

    def who_took(self, order: Order) -> int:
        """The process that obeyed an order."""
        _, rest = order.path.name.split(".", 1)
        taken = [o for o in self.world.obeyed() if rest.startswith(f"{o['step']}.{o['side']}.")]
        return int(taken[-1]["pid"])

    def publish(self, clients: Clients, number: int) -> list[str]:
        """Put that many processed videos into the database, for votes: nothing of them is stored."""
        found = []
        for _ in range(number):
            video_id = str(uuid4())
            self.world.rows(
                "INSERT INTO anb.videos (id, user_id, title, status, request_id, uploaded_at, processed_at) "
                "VALUES (%s, %s, 'Publicado', 'processed', 'seeded', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
                video_id.replace("-", ""),
                self.seeded_player(clients),
            )
            found.append(video_id)
        clients.history.voted_on |= set(found)
        return found

    def seeded_player(self, clients: Clients) -> int:
        """Whose published videos have no files; with a place in the standings."""
        number = self._seeded.get(id(clients))
        if number is None:
            number = self._seeded[id(clients)] = clients.join().id
            clients.history.players.remove(number)
            query = "INSERT INTO anb.standings (user_id, city) SELECT id, city FROM anb.users WHERE id = %s"
            self.world.rows(query, number)
        return number


@contextmanager
def stage(
    folder: Path, *, clock: str, workers: int, small_disks: int = 0, code: Path | None = None
) -> Iterator[Stage]:
    """A stage until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    clip = make_clip(folder / "clip.mp4")
    bad_clip = make_bad_clip(folder / "bad.mp4", clip)
    small_clip = make_clip(folder / "small.mp4", side_pixels=320)
    with running_world(folder / "world", clock=clock, workers=workers, small_disks=small_disks, code=code) as world:
        small = world.workers[len(world.workers) - small_disks :]
        here = Stage(world=world, clip=clip, bad_clip=bad_clip, small_clip=small_clip, small_disks=small)
        clients = here.begin(workers=1)
        here.await_status(clients.upload(), "processed", seconds=180)  # the one encode whose body the others copy
        yield here
