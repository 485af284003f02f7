"""A machine with worker processes, the database, queue and store that they work with, and what is seen of them."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
from botocore.credentials import Credentials
from sqlalchemy import Engine, insert

from anb import lifecycle
from anb.database import connect
from anb.jobs import Job, SqsJobs
from anb.models import User
from anb.storage import MP4, S3Storage, source_key
from anb.timings import Timings
from anb.upload_limits import UploadLimits
from bench.report import CannotMeasure
from capacity.process_tree import machine_seconds, usage
from local import applications
from local.emulator import BUCKET, KEY, REGION
from local.supervisor import Supervisor
from local.system import System, running_system

SAMPLE_EVERY_SECONDS = 1
_NO_LIMITS = UploadLimits(open_reservations=10**6, uploads_an_hour=10**6, waiting_bytes=10**15)
# What a worker logs when a video's life goes on, and what we call it
_EVENTS = {"claimed": "started", "processed": "ended", "failed": "failed", "released": "released"}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen of one stretch of load: dictionaries, as raw data keep them. Times are Unix seconds."""

    events: list[dict[str, Any]]
    """`event` of the video `id` `at` a time: enqueued, started, ended, failed or released; `by` a worker."""
    samples: list[dict[str, Any]]
    """The queue and what has been used so far, once a second."""


class Producer:
    """Puts videos where uploads put them, with a row and an object each, and sends their messages."""

    def __init__(self, *, engine: Engine, storage: S3Storage, jobs: SqsJobs, owner_id: int) -> None:
        self._engine, self._storage, self._jobs, self._owner_id = engine, storage, jobs, owner_id

    def prepare(self, clip: Path, request_id: str) -> Callable[[], Job]:
        """Store a video under a correlation id; return what makes it uploaded and sends its message."""
        size_bytes, source = clip.stat().st_size, uuid4().hex
        with self._engine.begin() as connection:
            video_id = lifecycle.reserve(
                connection,
                owner_id=self._owner_id,
                title=request_id,
                size_bytes=size_bytes,
                idempotency_key=None,
                request_id=request_id,
                limits=_NO_LIMITS,
            ).video_id
        with clip.open("rb") as file:
            self._storage.put(source_key(video_id, source), file, content_type=MP4)
        return lambda: self._send(video_id, source, size_bytes, request_id)

    def _send(self, video_id: UUID, source: str, size_bytes: int, request_id: str) -> Job:
        timings = Timings()
        with self._engine.begin() as connection:
            lifecycle.mark_uploaded(
                connection, video_id=video_id, source=source, size_bytes=size_bytes, timings=timings
            )
        job = Job(video_id=video_id, request_id=request_id)
        self._jobs.send([job])
        with self._engine.begin() as connection:  # or the workers' relay would send it once more
            lifecycle.mark_enqueued(connection, video_id=video_id, timings=timings)
        return job


class Node:
    """Worker processes that share a machine with what they talk to."""

    def __init__(
        self, system: System, workers: "WorkerProcesses", producer: Producer, events: list[dict[str, Any]]
    ) -> None:
        self._system, self._workers, self._producer = system, workers, producer
        self._events = events

    def observe(
        self, clip: Path, arrivals: Sequence[float], *, name: str, seconds: float, within_seconds: float
    ) -> Observed:
        """Send a video at each of the arrivals, in seconds from now; watch until `seconds` are over and all ended.

        Raises CannotMeasure for a video that fails, and when some have not ended in time.
        """
        sends = [self._producer.prepare(clip, f"{name}-{number:04}") for number in range(len(arrivals))]
        first_event, samples, over = len(self._events), [self._sample()], threading.Event()

        def watch() -> None:
            while not over.wait(SAMPLE_EVERY_SECONDS):
                samples.append(self._sample())

        watcher, begun = threading.Thread(target=watch), time.monotonic()
        watcher.start()
        try:
            self._send_all(sends, arrivals)
            self._wait_for(len(sends), first_event, within_seconds=within_seconds)
            # Rates are of the whole stretch: it counts as well that nothing was left to do at its end
            time.sleep(max(0.0, begun + seconds + SAMPLE_EVERY_SECONDS - time.monotonic()))
        finally:
            over.set()
            watcher.join()
        samples.append(self._sample())
        return Observed(events=sorted(self._events[first_event:], key=lambda event: event["at"]), samples=samples)

    def _send_all(self, sends: Sequence[Callable[[], Job]], arrivals: Sequence[float]) -> None:
        begun = time.time()
        for send, at in zip(sends, arrivals, strict=True):
            time.sleep(max(0.0, begun + at - time.time()))
            enqueued = time.time()
            job = send()
            self._events.append({"event": "enqueued", "id": job.request_id, "at": enqueued})

    def _wait_for(self, videos: int, first_event: int, *, within_seconds: float) -> None:
        deadline = time.monotonic() + within_seconds
        while True:
            seen = self._events[first_event:]
            if failed := [event["id"] for event in seen if event["event"] in {"failed", "released"}]:
                raise CannotMeasure(f"{failed[0]} was not processed at the first attempt")
            if sum(event["event"] == "ended" for event in seen) >= videos:
                return
            if time.monotonic() > deadline:
                raise CannotMeasure(f"the workers did not process {videos} videos within {within_seconds:.0f} s")
            self._workers.check()
            time.sleep(0.2)

    def _sample(self) -> dict[str, Any]:
        """Return what waits, and what everything has used so far."""
        waiting, in_flight = self._system.emulator.messages()
        workers = [usage(self._workers.pid(name)) for name in self._workers.names]
        parts = {"database": usage(self._system.pid("database")), "emulator": usage(self._system.pid("emulator"))}
        return {
            "at": time.time(),
            "waiting": waiting,
            "in_flight": in_flight,
            "cpu_seconds": {
                "worker": sum(one.own_cpu_seconds for one in workers),
                "ffmpeg": sum(one.children_cpu_seconds for one in workers),
                **{name: one.own_cpu_seconds + one.children_cpu_seconds for name, one in parts.items()},
                "producer": time.process_time(),
            },
            "machine_seconds": machine_seconds(),
            "worker_bytes": sum(one.resident_bytes for one in workers),
            "disk_read_bytes": sum(one.read_bytes for one in workers),
            "disk_written_bytes": sum(one.written_bytes for one in workers),
            "scratch_bytes": _size(self._scratch),
        }

    @property
    def _scratch(self) -> Path:
        return Path(self._system.environment["ANB_SCRATCH_DIR"])


@contextmanager
def running_node(state: Path, *, processes: int) -> Iterator[Node]:
    """Run so many workers with all that they need, until the block ends."""
    with running_system(state, services=("database", "emulator", "migrations")) as system:
        engine = connect(system.environment["ANB_DATABASE_URL"], pool_size=1)
        player = {"id": 1, "email": "ana@example.com", "first_name": "Ana", "last_name": "Gil"}
        with engine.begin() as connection:
            connection.execute(insert(User).values(**player, city="Cali", country="Colombia", password_hash=""))
        events: list[dict[str, Any]] = []
        workers = WorkerProcesses(system, processes=processes, events=events)
        try:
            workers.start_all()
            yield Node(system, workers, _producer(system, engine), events)
        finally:
            workers.stop_all()
            engine.dispose()


class WorkerProcesses(Supervisor):
    """The workers of a machine, each with a scratch folder of its own; what they log becomes events."""

    def __init__(self, system: System, *, processes: int, events: list[dict[str, Any]]) -> None:
        self.names = [f"worker-{number}" for number in range(1, processes + 1)]
        scratch = Path(system.environment["ANB_SCRATCH_DIR"])

        def write(name: str, line: str) -> None:
            if event := logged_event(line, by=name):
                events.append(event)

        services = []
        for name in self.names:
            folder = scratch / name
            service = applications.worker({**system.environment, "ANB_SCRATCH_DIR": str(folder)})
            services.append(replace(service, name=name))
        super().__init__(services, write=write)


def logged_event(line: str, *, by: str) -> dict[str, Any] | None:
    """Return the event that a worker's line tells, if it tells one."""
    try:
        logged = json.loads(line)
    except ValueError:
        return None
    if not isinstance(logged, dict) or logged.get("event") not in _EVENTS or "request_id" not in logged:
        return None
    at = datetime.fromisoformat(logged["time"])
    return {
        "event": _EVENTS[logged["event"]],
        "id": logged["request_id"],
        "at": at.replace(tzinfo=at.tzinfo or UTC).timestamp(),
        "by": by,
    }


def _producer(system: System, engine: Engine) -> Producer:
    session, endpoint = boto3.session.Session(KEY, KEY, region_name=REGION), system.emulator.endpoint
    storage = S3Storage(session.client("s3", endpoint_url=endpoint), BUCKET, Credentials(KEY, KEY))
    jobs = SqsJobs(session.client("sqs", endpoint_url=endpoint), system.emulator.queue_url)
    return Producer(engine=engine, storage=storage, jobs=jobs, owner_id=1)


def _size(folder: Path) -> int:
    """Return the bytes of all files below a folder; files come and go meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 a thousand paths a second
    return total
