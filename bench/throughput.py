"""Measures what the promise costs: how fast our worker gets on, beside one that does nothing but encode.

They work at the same time, each on a processor of its own, so that a machine that slows down slows both. With ours
go all that it talks to: the database, and the emulated queue and store. The other is a process that calls
`anb_worker.processing.process` on a file that lies there. After each round they change places. A round is over
when both have done as many clips as count; each begins one more, so that neither ever has the machine to itself.
The median of the rounds' ratios counts. It goes to docs/reliability.md.

Usage: make bench-throughput, or python -m bench.throughput [--rounds 4] [--clips 3]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3

from anb.jobs import Job, SqsJobs
from anb.storage import MP4, S3Storage, source_key
from anb_worker.processing import process
from bench import report as performance_page
from bench.worker_cost import SAMPLES, source
from local import applications, console
from local.emulator import BUCKET, KEY, REGION
from local.supervisor import Supervisor
from local.system import System, running_system

if TYPE_CHECKING:
    import pymysql

ROOT = Path(__file__).resolve().parents[1]
CLIP = "1080p30-50mb"
LOWEST_RATIO = 0.97  # what we promise ourselves
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 900


def main() -> int:
    arguments = _arguments()
    clip, processors = source(CLIP), sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        raise SystemExit("this takes two processors")
    rounds = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-throughput-")))
        product = stack.enter_context(running_product(folder, clip))
        encoder = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        for number in range(arguments.rounds):
            ours, alone = processors if number % 2 else reversed(processors)
            product.move_to(ours)
            encoding = encoder.submit(only_encode, clip, arguments.clips, processor=alone)
            seconds = (product.work_off(arguments.clips), encoding.result())
            print("{:.2f} s, only encoding {:.2f} s".format(*seconds), file=sys.stderr, flush=True)
            rounds.append(seconds)
    found = statistics.median(alone / ours for ours, alone in rounds)
    text = report(rounds, found, arguments.clips)
    performance_page.replace("bench-throughput", text, page=ROOT / "docs" / "reliability.md")
    print(f"{found:.3f} of the throughput of a worker that only encodes")
    return 0 if found >= LOWEST_RATIO else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the promise costs.")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clips", type=int, default=3, help="that count in a round")
    return parser.parse_args()


@dataclass(frozen=True)
class Product:
    """The worker with everything that keeps the promise."""

    system: System
    worker: Supervisor
    storage: S3Storage
    jobs: SqsJobs
    clip: Path

    def move_to(self, processor: int) -> None:
        """Let the worker and all that it talks to have this processor alone."""
        for pid in (self.worker.pid("worker"), self.system.pid("database"), self.system.pid("emulator")):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {processor})

    def work_off(self, clips: int) -> float:
        """Return the seconds from the first message to the outcome of so many clips; there is one more."""
        with self.system.database.connect() as connection, connection.cursor() as cursor:
            jobs = [self._accept(cursor) for _ in range(clips + 1)]
            connection.commit()
            begun = datetime.now(UTC).replace(tzinfo=None)
            self.jobs.send(jobs)
            marks = ", ".join(["%s"] * len(jobs))
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(ended := self._ended(cursor, marks, jobs)) < len(jobs):
                connection.commit()
                if time.monotonic() > deadline:
                    raise SystemExit("the worker does not get on")
                time.sleep(POLL_SECONDS)
        return (ended[clips - 1] - begun).total_seconds()

    def _accept(self, cursor: "pymysql.cursors.Cursor") -> Job:
        """Leave a video as its upload leaves it, up to the message."""
        video_id = uuid4()
        with self.clip.open("rb") as file:
            self.storage.put(source_key(video_id, None), file, content_type=MP4)
        cursor.execute(
            "INSERT INTO anb.videos (id, user_id, title, status, request_id, uploaded_at, next_enqueue_at) VALUES"
            " (%s, 1, 'Video', 'uploaded', 'benchmark', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 10 MINUTE)",
            (video_id.hex,),
        )
        return Job(video_id=video_id, request_id="benchmark")

    def _ended(self, cursor: "pymysql.cursors.Cursor", marks: str, jobs: Sequence[Job]) -> list[datetime]:
        """Return when each of the videos that are done was done, in order."""
        cursor.execute(
            f"SELECT status, attempt, processed_at FROM anb.videos WHERE id IN ({marks}) ORDER BY processed_at",  # noqa: S608 marks only
            [job.video_id.hex for job in jobs],
        )
        rows = cursor.fetchall()
        if any(status == "failed" or attempt > 1 for status, attempt, _ in rows):
            raise SystemExit("a video failed or was begun twice: that is no measurement")
        return [processed_at for status, _, processed_at in rows if status == "processed"]


@contextmanager
def running_product(folder: Path, clip: Path) -> Iterator[Product]:
    """The product's worker, ready for messages, until the block ends."""
    with running_system(folder / "system", services=("database", "emulator", "migrations")) as system:
        with system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO anb.users (id, email, first_name, last_name, city, country, password_hash)"
                " VALUES (1, 'ana@example.com', 'Ana', 'Gil', 'Cali', 'Colombia', '')"
            )
            connection.commit()
        worker = Supervisor([applications.worker(system.environment)], write=console.ignore)
        session = boto3.session.Session(KEY, KEY, region_name=REGION)
        endpoint = system.emulator.endpoint
        s3, sqs = session.client("s3", endpoint_url=endpoint), session.client("sqs", endpoint_url=endpoint)
        try:
            worker.start_all()
            yield Product(system, worker, S3Storage(s3, BUCKET), SqsJobs(sqs, system.emulator.queue_url), clip)
        finally:
            worker.stop_all()


def only_encode(clip: Path, clips: int, *, processor: int) -> float:
    """Return the seconds for so many clips, one after the other on this processor; there is one more."""
    os.sched_setaffinity(0, {processor})
    begun, ended = time.perf_counter(), []
    for _ in range(clips + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            process(
                clip,
                folder / "output.mp4",
                thumbnail=folder / "thumbnail.jpg",
                scratch=folder,
                progress=lambda _: None,
                cancelled=lambda: False,
            )
        ended.append(time.perf_counter())
    return ended[clips - 1] - begun


def report(rounds: Sequence[tuple[float, float]], found: float, clips: int) -> str:
    ours, alone = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratios = ", ".join(f"{alone / ours:.3f}" for ours, alone in rounds)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench-throughput`: {performance_page.machine()}.\n"
        f"{len(rounds)} rounds of {clips} clips ({SAMPLES[CLIP].title}), medians: {ours:.1f} s with all of it,"
        f" {alone:.1f} s only encoding.\nThroughput **{found:.3f}** of the encoder's ({ratios})."
    )


if __name__ == "__main__":
    sys.exit(main())
