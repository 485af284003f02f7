"""Measures what the promise costs: how fast our workers get on, against workers that do nothing but encode.

Two of each, as on an instance. One side is the product: messages from a queue, rows, leases, heartbeats and
chores, sources and results from and to an object store, all of it on this machine. The other side is two processes
that call `anb_worker.processing.process` on a file that lies there. They take turns with the same clip, so that a
busy machine slows both down; the median of the turns' ratios counts. It goes to docs/reliability.md.

Usage: make bench-throughput, or python -m scripts.bench_throughput [--rounds 8] [--clips 2]
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3

from anb.jobs import Job, SqsJobs
from anb.storage import MP4, S3Storage, source_key
from anb_worker.processing import process
from local import console, services
from local.emulator import BUCKET, KEY, REGION
from local.supervisor import Supervisor
from local.system import System, running_system
from scripts import performance_page
from scripts.bench_worker import SAMPLES, source

if TYPE_CHECKING:
    import pymysql

ROOT = Path(__file__).resolve().parents[1]
CLIP = "1080p30-50mb"
WORKERS = 2  # one per vCPU, as on an instance
LOWEST_RATIO = 0.97  # what we promise ourselves
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 600


def main() -> int:
    arguments = _arguments()
    clip, turns = source(CLIP), []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-throughput-")))
        product = stack.enter_context(running_product(folder, clip))
        encoders = stack.enter_context(ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")))
        for turn in range(arguments.rounds + 1):
            ours = product.work_off(arguments.clips)
            alone = only_encode(encoders, [clip] * arguments.clips)
            print(f"{ours:.2f} s, only encoding {alone:.2f} s", file=sys.stderr, flush=True)
            turns += [(ours, alone)] if turn else []  # the first warms up
    found = statistics.median(alone / ours for ours, alone in turns)
    performance_page.replace(
        "bench-throughput", report(turns, found, arguments.clips), page=ROOT / "docs/reliability.md"
    )
    print(f"{found:.3f} of the throughput of workers that only encode")
    return 0 if found >= LOWEST_RATIO else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the promise costs.")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--clips", type=int, default=WORKERS, help="that each side works off in a round")
    return parser.parse_args()


@dataclass(frozen=True)
class Product:
    """The workers with everything that keeps the promise."""

    system: System
    storage: S3Storage
    jobs: SqsJobs
    clip: Path

    def work_off(self, clips: int) -> float:
        """Return the seconds from the first message to the last outcome."""
        with self.system.database.connect() as connection, connection.cursor() as cursor:
            jobs = [self._accept(cursor) for _ in range(clips)]
            connection.commit()
            begun = time.perf_counter()
            self.jobs.send(jobs)
            while _waiting(cursor):
                connection.commit()
                if time.perf_counter() - begun > PATIENCE_SECONDS:
                    raise SystemExit("the workers do not get on")
                time.sleep(POLL_SECONDS)
        return time.perf_counter() - begun

    def _accept(self, cursor: "pymysql.cursors.Cursor") -> Job:
        """Leave a video as its upload leaves it, up to the message."""
        video_id = uuid4()
        with self.clip.open("rb") as file:
            self.storage.put(source_key(video_id), file, content_type=MP4)
        cursor.execute(
            "INSERT INTO anb.videos (id, user_id, title, status, request_id, uploaded_at, next_enqueue_at) VALUES"
            " (%s, 1, 'Video', 'uploaded', 'benchmark', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 2 MINUTE)",
            (video_id.hex,),
        )
        return Job(video_id=video_id, request_id="benchmark")


def _waiting(cursor: "pymysql.cursors.Cursor") -> bool:
    cursor.execute("SELECT status, attempt FROM anb.videos")
    rows = cursor.fetchall()
    if any(status == "failed" or attempt > 1 for status, attempt in rows):
        raise SystemExit("a video failed or was begun twice: that is no measurement")
    return any(status != "processed" for status, _ in rows)


@contextmanager
def running_product(folder: Path, clip: Path) -> Iterator[Product]:
    """The product's workers, ready for messages, until the block ends."""
    with running_system(folder / "system", parts=("database", "emulator", "migrations")) as system:
        with system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO anb.users (id, email, first_name, last_name, city, country, password_hash)"
                " VALUES (1, 'ana@example.com', 'Ana', 'Gil', 'Cali', 'Colombia', '')"
            )
            connection.commit()
        parts = [
            replace(
                services.worker({**system.environment, "ANB_SCRATCH_DIR": str(folder / f"worker{number}")}),
                name=f"worker{number}",
            )
            for number in range(WORKERS)
        ]
        workers = Supervisor(parts, write=console.ignore)
        session = boto3.session.Session(KEY, KEY, region_name=REGION)
        endpoint = system.emulator.endpoint
        s3, sqs = session.client("s3", endpoint_url=endpoint), session.client("sqs", endpoint_url=endpoint)
        try:
            workers.start_all()
            yield Product(system, S3Storage(s3, BUCKET), SqsJobs(sqs, system.emulator.queue_url), clip)
        finally:
            workers.stop_all()


def only_encode(encoders: ProcessPoolExecutor, clips: Sequence[Path]) -> float:
    """Return the seconds that the encoders take for the clips."""
    begun = time.perf_counter()
    list(encoders.map(_encode, clips))
    return time.perf_counter() - begun


def _encode(clip: Path) -> None:
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


def report(turns: Sequence[tuple[float, float]], found: float, clips: int) -> str:
    ours, alone = (statistics.median(side) for side in zip(*turns, strict=True))
    ratios = ", ".join(f"{alone / ours:.3f}" for ours, alone in turns)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench-throughput`: {performance_page.machine()}.\n"
        f"{len(turns)} rounds of {clips} clips ({SAMPLES[CLIP].title}) on {WORKERS} workers, medians:\n"
        f"{ours:.1f} s with all of it, {alone:.1f} s only encoding. Throughput **{found:.3f}**"
        f" of the encoders' ({ratios})."
    )


if __name__ == "__main__":
    sys.exit(main())
