"""What does the promise to lose nothing cost the worker?

Our worker works beside a process that does nothing but encode: one that calls `anb_worker.processing.process` on a
file that lies there. Each has a processor of its own. With ours go all that it talks to: the database, and the
emulated queue and store. After each round they change places. A round is over when both have done as many clips as
count; each begins one more, so that neither ever has the machine to itself.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

import boto3
import click
from botocore.credentials import Credentials
from sqlalchemy import Engine, insert, select

from anb import lifecycle
from anb.database import connect
from anb.jobs import Job, SqsJobs
from anb.models import Status, User, Video
from anb.storage import MP4, S3Storage, source_key
from anb.timings import Timings
from anb.upload_limits import UploadLimits
from anb_worker.processing import process
from bench.clips import FULL_HD
from bench.figures import Rounds
from bench.report import CannotMeasure, Report
from local import applications, console
from local.emulator import BUCKET, KEY, REGION
from local.supervisor import Supervisor
from local.system import System, running_system

MIN_RATIO = 0.97  # what we promise ourselves
REQUEST_ID = "bench"
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Product:
    """The worker with everything that keeps the promise."""

    system: System
    worker: Supervisor
    engine: Engine
    storage: S3Storage
    jobs: SqsJobs

    def move_to(self, processor: int) -> None:
        """Let the worker and all that it talks to have this processor alone."""
        for pid in (self.worker.pid("worker"), self.system.pid("database"), self.system.pid("emulator")):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {processor})

    def work_off(self, clip: Path, clips: int) -> float:
        """Return the seconds from the first message to the outcome of so many clips; there is one more."""
        jobs = [self._upload(clip) for _ in range(clips + 1)]
        begun = datetime.now(UTC).replace(tzinfo=None)
        self.jobs.send(jobs)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(ended := self._ended([job.video_id for job in jobs])) < len(jobs):
            if time.monotonic() > deadline:
                raise CannotMeasure("the worker does not get on")
            time.sleep(POLL_SECONDS)
        return (ended[clips - 1] - begun).total_seconds()

    def _upload(self, clip: Path) -> Job:
        """Leave a video as its upload leaves it, up to the message."""
        source, size_bytes = uuid4().hex, clip.stat().st_size
        with self.engine.begin() as connection:
            video_id = lifecycle.reserve(
                connection,
                owner_id=1,
                title="Video",
                size_bytes=size_bytes,
                idempotency_key=None,
                request_id=REQUEST_ID,
                limits=UploadLimits(),
            ).video_id
        with clip.open("rb") as file:
            self.storage.put(source_key(video_id, source), file, content_type=MP4)
        with self.engine.begin() as connection:
            lifecycle.mark_uploaded(
                connection, video_id=video_id, source=source, size_bytes=size_bytes, timings=Timings()
            )
        return Job(video_id=video_id, request_id=REQUEST_ID)

    def _ended(self, video_ids: Sequence[UUID]) -> list[datetime]:
        """Return when each of the videos that are done was done, in order."""
        outcomes = (
            select(Video.status, Video.attempt, Video.processed_at)
            .where(Video.id.in_(video_ids))
            .order_by(Video.processed_at)
        )
        with self.engine.begin() as connection:
            rows = connection.execute(outcomes).all()
        if any(status == Status.FAILED or attempt > 1 for status, attempt, _ in rows):
            raise CannotMeasure("a video failed or was begun twice")
        return [at for status, _, at in rows if status == Status.PROCESSED and at]


def measure(*, quick: bool) -> Report:
    """Answer with the part of the throughput that is left; quick: one round of one clip."""
    rounds, clips = (1, 1) if quick else (4, 3)
    clip, processors = FULL_HD.file(), sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        raise CannotMeasure("this takes two processors")
    seconds = []
    with _running_product() as product, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as encoder:
        for number in range(rounds):
            ours, alone = processors if number % 2 else reversed(processors)
            product.move_to(ours)
            encoding = encoder.submit(only_encode, clip, clips, processor=alone)
            worked = product.work_off(clip, clips)
            seconds.append((encoding.result(), worked))
            click.echo(f"{worked:.2f} s, only encoding {encoding.result():.2f} s", err=True)
    return _report(Rounds(seconds), conditions=f"{rounds} rounds of {clips} clips, {FULL_HD.title}")


@contextmanager
def _running_product() -> Iterator[Product]:
    """Run the product's worker, ready for messages, until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as state,
        running_system(Path(state), services=("database", "emulator", "migrations")) as system,
    ):
        engine = connect(system.environment["ANB_DATABASE_URL"], pool_size=1)
        player = {"id": 1, "email": "ana@example.com", "first_name": "Ana", "last_name": "Gil"}
        with engine.begin() as connection:
            connection.execute(insert(User).values(**player, city="Cali", country="Colombia", password_hash=""))
        session = boto3.session.Session(KEY, KEY, region_name=REGION)
        endpoint = system.emulator.endpoint
        worker = Supervisor([applications.worker(system.environment)], write=console.ignore)
        try:
            worker.start_all()
            yield Product(
                system=system,
                worker=worker,
                engine=engine,
                storage=S3Storage(session.client("s3", endpoint_url=endpoint), BUCKET, Credentials(KEY, KEY)),
                jobs=SqsJobs(session.client("sqs", endpoint_url=endpoint), system.emulator.queue_url),
            )
        finally:
            worker.stop_all()
            engine.dispose()


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


def _report(rounds: Rounds, *, conditions: str) -> Report:
    """Compare the times the other way round than the work: who needs longer has less throughput."""
    alone, ours = rounds.medians
    ratios = ", ".join(f"{ratio:.3f}" for ratio in rounds.ratios)
    return Report(
        conditions=conditions,
        text=f"Medians: {ours:.1f} s with all of it, {alone:.1f} s only encoding.\n"
        f"Throughput **{rounds.ratio:.3f}** of the encoder's ({ratios}).",
        missed=[f"{rounds.ratio:.3f} of the encoder's throughput, and not {MIN_RATIO}"]
        if rounds.ratio < MIN_RATIO
        else [],
        figures=[rounds],
    )
