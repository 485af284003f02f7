"""Keeps lease and message ours while the work goes on."""

import logging
import threading
import time
from types import TracebackType
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb.jobs import Jobs, Message
from anb.lifecycle import Lease, extend_lease
from anb.timings import Timings

log = logging.getLogger(__name__)


class Heartbeat:
    """Extends lease and visibility from a thread and a connection of its own.

    `lost` is set as soon as the lease is known to be somebody else's, the row is gone, or nothing has confirmed
    the lease for as long as it lasts.
    """

    def __init__(self, engine: Engine, jobs: Jobs, *, lease: Lease, message: Message, timings: Timings) -> None:
        self.lost = threading.Event()
        self._engine, self._jobs = engine, jobs
        self._lease, self._message, self._timings = lease, message, timings
        self._ended = threading.Event()
        self._confirmed = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def expired(self) -> bool:
        """Return whether the lease may have ended, as nothing has confirmed it for its length."""
        return time.monotonic() - self._confirmed > self._timings.lease_seconds

    def _run(self) -> None:
        usual, retry = self._timings.lease_heartbeat_seconds, self._timings.lease_heartbeat_retry_seconds
        pause = usual
        while not self._ended.wait(pause) and not self.lost.is_set():
            pause = usual if self._beat() else retry

    def _beat(self) -> bool:
        before = time.monotonic()
        try:
            with self._engine.begin() as connection:
                ours = extend_lease(connection, self._lease, timings=self._timings)
        except (DBAPIError, PoolTimeout) as error:
            log.warning("could not extend the lease", extra={"error": error})
            if self.expired():
                self.lost.set()
            return False
        if not ours:
            self.lost.set()
            return True
        self._confirmed = before
        self._keep_message()
        return True

    def _keep_message(self) -> None:
        try:
            self._jobs.change_visibility(self._message, seconds=self._timings.lease_seconds)
        except (BotoCoreError, ClientError) as error:
            # The lease protects the work; a message that shows up again finds it held
            log.warning("could not extend the visibility of the message", extra={"error": error})
