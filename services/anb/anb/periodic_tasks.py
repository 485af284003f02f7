"""Small periodic work that any number of processes may do: web and workers relay, web does the rest."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from anb import abuse_limits, search, throttle, voting
from anb.jobs import MAX_BATCH, Jobs
from anb.relay import relay
from anb.timings import Timings

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PeriodicTask:
    """Work that recurs: a transaction of it does up to `full_batch` things and returns how many they were."""

    name: str
    interval_seconds: float
    full_batch: int
    work: Callable[[Connection], int]

    def start(self, engine: Engine, stop: threading.Event) -> None:
        """Work in the background until `stop` is set; a round that fails is logged and the next one tried."""
        threading.Thread(target=self._run, args=(engine, stop), name=self.name, daemon=True).start()

    def catch_up(self, engine: Engine, stop: threading.Event) -> None:
        """Work while batches are full: more would count each vote of a steady stream by itself."""
        while not stop.is_set():
            with engine.begin() as connection:
                found = self.work(connection)
            if found < self.full_batch:
                return

    def _run(self, engine: Engine, stop: threading.Event) -> None:
        # Jitter keeps many processes from doing the same at the same moment
        while not stop.wait(self.interval_seconds * random.uniform(0.5, 1)):  # noqa: S311 no secret depends on it
            try:
                self.catch_up(engine, stop)
            except Exception as error:  # noqa: BLE001 whatever went wrong, the next round may succeed
                log.warning("periodic task failed", extra={"task": self.name, "error": error})


def relay_task(jobs: Jobs, timings: Timings) -> PeriodicTask:
    """Return what sends the jobs that are due for the queue."""
    return PeriodicTask(
        name="relay",
        interval_seconds=timings.relay_interval_seconds,
        full_batch=MAX_BATCH,
        work=lambda connection: relay(connection, jobs, timings=timings),
    )


def tally_task(timings: Timings) -> PeriodicTask:
    """Return what counts the votes that have come in."""
    return PeriodicTask(
        name="tally",
        interval_seconds=timings.tally_interval_seconds,
        full_batch=voting.TALLY_BATCH,
        work=voting.tally,
    )


def purge_task(timings: Timings) -> PeriodicTask:
    """Return what forgets failed logins."""
    return PeriodicTask(
        name="purge",
        interval_seconds=timings.purge_interval_seconds,
        full_batch=throttle.PURGE_BATCH,
        work=throttle.purge,
    )


def purge_origins_task(timings: Timings) -> PeriodicTask:
    """Return what forgets from which addresses sign-ups and votes came."""
    return PeriodicTask(
        name="purge origins",
        interval_seconds=timings.purge_interval_seconds,
        full_batch=abuse_limits.PURGE_BATCH,
        work=abuse_limits.purge,
    )


def search_task(timings: Timings) -> PeriodicTask:
    """Return what lets videos be found that were finished without it."""
    return PeriodicTask(
        name="search",
        interval_seconds=timings.purge_interval_seconds,
        full_batch=search.MISSED_BATCH,
        work=search.enter_missed,
    )
