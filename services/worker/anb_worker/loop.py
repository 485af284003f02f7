"""One job at a time: receive, claim, process, finish."""

import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb import lifecycle, logs, videos
from anb.errors import Invalid
from anb.jobs import Job, Jobs, Message
from anb.lifecycle import Held, Lease
from anb.storage import JPEG, MP4, ObjectMissing, Storage, processed_key, source_key, thumbnail_key
from anb.timings import Timings
from anb_worker.failures import Cancelled, Crashed, Unprocessable
from anb_worker.heartbeat import Heartbeat
from anb_worker.processing import process
from anb_worker.sandbox import Limits

_AWAY = (BotoCoreError, ClientError, DBAPIError, PoolTimeout)
_LOGGED_STEPS = 10  # log lines for the progress of one job

log = logging.getLogger(__name__)


class Worker:
    """Works off the queue until `stop` or `terminating` is set.

    Either ends the receiving; a job under way is finished, after `stop` only if it ends within the grace.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        storage: Storage,
        jobs: Jobs,
        scratch: Path,
        owner: str,
        stop: threading.Event,
        timings: Timings,
        limits: Limits = Limits(),
        heartbeat_engine: Engine | None = None,
        terminating: threading.Event | None = None,
        busy: Callable[[bool], None] = lambda _: None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """`scratch` is this worker's alone: whatever an earlier life left there is removed.

        `busy` is told that a job has been claimed, or that there was none; `alive`, that the loop gets on.
        """
        self._engine, self._storage, self._jobs = engine, storage, jobs
        self._scratch, self._owner = scratch, owner
        self._stop, self._timings, self._limits = stop, timings, limits
        self._heartbeat_engine = heartbeat_engine or engine
        self._terminating = terminating or threading.Event()
        self._busy, self._alive = busy, alive
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)

    def run(self) -> None:
        """Work until asked to stop or until the instance shall end; a part that is away is waited for."""
        log.info("ready")
        while not self._is_ending():
            self._alive()
            try:
                if message := self._jobs.receive(wait_seconds=self._timings.poll_seconds):
                    self.handle(message)
                elif not self._is_ending():
                    self._busy(False)
            except _AWAY as error:
                log.warning("a part is away", extra={"error": error})
                self._stop.wait(self._timings.unavailable_retry_seconds)
        log.info("stopped")

    def handle(self, message: Message) -> None:
        """Do what the message asks for, if its row says that there is something to do."""
        if self._is_ending():
            self._jobs.change_visibility(message, seconds=0)
            return
        if message.job is None:
            # SQS moves it to the dead-letter queue, body intact, once it has come back often enough
            log.error("unreadable message", extra={"characters": len(message.body)})
            self._jobs.change_visibility(message, seconds=0)
            return
        with logs.bound(video_id=str(message.job.video_id), request_id=message.job.request_id):
            self._take(message, message.job)

    def _take(self, message: Message, job: Job) -> None:
        with self._engine.begin() as connection:
            claimed = lifecycle.claim(connection, video_id=job.video_id, owner=self._owner, timings=self._timings)
        if claimed is None:
            log.info("nothing to do")
            self._jobs.delete(message)
        elif isinstance(claimed, Held):
            self._jobs.change_visibility(message, seconds=claimed.seconds + self._timings.held_margin_seconds)
        else:
            try:
                with (
                    logs.bound(attempt=claimed.attempt),
                    self._heartbeat(claimed, message) as heartbeat,
                ):
                    self._busy(True)
                    self._work(claimed, message, heartbeat)
            except _AWAY:
                if self._stop.is_set():
                    # Whoever receives it now waits for the end of the lease, which could not be given back
                    self._jobs.change_visibility(message, seconds=0)
                raise

    def _heartbeat(self, lease: Lease, message: Message) -> Heartbeat:
        return Heartbeat(self._heartbeat_engine, self._jobs, lease=lease, message=message, timings=self._timings)

    def _is_ending(self) -> bool:
        return self._stop.is_set() or self._terminating.is_set()

    def _work(self, lease: Lease, message: Message, heartbeat: Heartbeat) -> None:
        """Process the video and write how that ended, unless the lease was lost on the way."""
        log.info("claimed")
        try:
            self._produce(lease, heartbeat)
        except (Unprocessable, Invalid, ObjectMissing) as error:
            reason = _reason(error)
            if not self._end(message, heartbeat, "failed", lambda c: lifecycle.give_up(c, lease, reason=reason)):
                self._discard(lease, message)
        except Cancelled:
            if heartbeat.lost.is_set():
                self._discard(lease, message)
            else:
                self._release(lease, message, heartbeat, crashed=False, delay_seconds=0)
        except Crashed as error:
            log.warning("crashed", extra={"error": error})
            self._release(
                lease, message, heartbeat, crashed=True, delay_seconds=self._timings.min_retry_delay_seconds
            )
        except (*_AWAY, OSError) as error:
            log.warning("could not be processed now", extra={"error": error})
            self._release(lease, message, heartbeat, crashed=False, delay_seconds=self._delay_seconds(lease.attempt))
        else:
            if not self._end(message, heartbeat, "processed", lambda c: lifecycle.finish(c, lease)):
                self._discard(lease, message)

    def _produce(self, lease: Lease, heartbeat: Heartbeat) -> None:
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            folder = Path(name)
            source, output, thumbnail = folder / "source.mp4", folder / "output.mp4", folder / "thumbnail.jpg"
            self._storage.download(source_key(lease.video_id, lease.source), source)
            _check(source)
            process(
                source,
                output,
                thumbnail=thumbnail,
                scratch=folder,
                progress=_ProgressLog(),
                cancelled=_Cancelled(
                    self._stop, heartbeat, grace_seconds=self._timings.stop_grace_seconds, alive=self._alive
                ),
                limits=self._limits,
            )
            with output.open("rb") as file:
                self._storage.put(
                    processed_key(lease.video_id, lease.attempt), file, content_type=MP4, is_published=True
                )
            with thumbnail.open("rb") as file:
                self._storage.put(
                    thumbnail_key(lease.video_id, lease.attempt), file, content_type=JPEG, is_published=True
                )

    def _end(self, message: Message, heartbeat: Heartbeat, outcome: str, write: Callable[[Connection], bool]) -> bool:
        """Write the outcome, then take the message off; False when the video is no longer ours."""
        if not self._settle(heartbeat, write):
            return False
        log.info(outcome)
        self._jobs.delete(message)
        return True

    def _release(
        self, lease: Lease, message: Message, heartbeat: Heartbeat, *, crashed: bool, delay_seconds: int
    ) -> None:
        log.info("released", extra={"delay_seconds": delay_seconds})
        self._settle(
            heartbeat,
            lambda c: lifecycle.release(
                c, lease, crashed=crashed, delay_seconds=delay_seconds, timings=self._timings
            ),
        )
        self._jobs.change_visibility(message, seconds=delay_seconds)

    def _settle(self, heartbeat: Heartbeat, write: Callable[[Connection], bool]) -> bool:
        """Write to the row, waiting for an absent database for as long as the lease may last.

        A worker that shall stop tries once more and waits no longer: the end of the lease does the rest.
        """
        while True:
            self._alive()
            last = self._stop.is_set()
            try:
                with self._engine.begin() as connection:
                    return write(connection)
            except (DBAPIError, PoolTimeout) as error:
                if last or heartbeat.expired():
                    raise
                log.warning("waiting for the database", extra={"error": error})
                self._stop.wait(self._timings.unavailable_retry_seconds)

    def _discard(self, lease: Lease, message: Message) -> None:
        """Remove what this attempt stored: the video was deleted, or another attempt has overtaken this one."""
        log.info("discarded")
        own = (processed_key(lease.video_id, lease.attempt), thumbnail_key(lease.video_id, lease.attempt))
        self._storage.delete(own)
        self._jobs.change_visibility(message, seconds=0)

    def _delay_seconds(self, attempt: int) -> int:
        """Return a wait with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/."""
        shortest = self._timings.min_retry_delay_seconds
        longest = min(self._timings.max_retry_delay_seconds, shortest * 2 ** min(attempt, 10))
        return random.randint(shortest, longest)  # noqa: S311 no secret depends on it


class _Cancelled:
    """Says when to abandon a job: at once when its lease is lost, after a grace when the worker shall stop."""

    def __init__(
        self, stop: threading.Event, heartbeat: Heartbeat, *, grace_seconds: float, alive: Callable[[], None]
    ) -> None:
        """`alive` is called whenever the processing asks, which it does as long as it watches over ffmpeg."""
        self._stop, self._heartbeat = stop, heartbeat
        self._grace_seconds, self._alive = grace_seconds, alive
        self._asked: float | None = None

    def __call__(self) -> bool:
        self._alive()
        if self._stop.is_set() and self._asked is None:
            self._asked = time.monotonic()
        out_of_grace = self._asked is not None and time.monotonic() - self._asked > self._grace_seconds
        return out_of_grace or self._heartbeat.lost.is_set()


class _ProgressLog:
    """Logs every tenth of a job's way."""

    def __init__(self) -> None:
        self._logged = 0

    def __call__(self, fraction: float) -> None:
        step = int(fraction * _LOGGED_STEPS)
        if step > self._logged:
            self._logged = step
            log.info("progress", extra={"percent": step * 100 // _LOGGED_STEPS})


def _check(source: Path) -> None:
    """Raise Invalid for what the contest does not accept, however it came to be stored."""
    with source.open("rb") as file:
        videos.check_file(file, size_bytes=source.stat().st_size)


def _reason(error: Exception) -> str:
    if isinstance(error, ObjectMissing):
        return "El archivo original ya no está en el almacenamiento."
    return error.message if isinstance(error, Invalid) else str(error)
