"""Small periodic work that any number of processes may do: web and workers relay, web tallies and purges."""

import logging
import random
import threading
from collections.abc import Callable

from sqlalchemy import Connection, Engine

from anb import relay, throttle, voting
from anb.jobs import LARGEST_BATCH, Jobs
from anb.timings import Timings

_FULL_BATCH = {"relay": LARGEST_BATCH, "tally": voting.TALLY_BATCH, "purge": throttle.PURGE_BATCH}

log = logging.getLogger(__name__)


def start_relay(engine: Engine, jobs: Jobs, timings: Timings, stop: threading.Event) -> None:
    """Relay in the background until `stop` is set; a round that fails is logged and the next one tried."""
    _every(
        timings.relay_interval_seconds,
        "relay",
        engine,
        lambda connection: relay.relay(connection, jobs, timings=timings),
        stop,
    )


def start_tally(engine: Engine, timings: Timings, stop: threading.Event) -> None:
    """Tally in the background until `stop` is set, in the same way."""
    _every(timings.tally_interval_seconds, "tally", engine, voting.tally, stop)


def start_purge(engine: Engine, timings: Timings, stop: threading.Event) -> None:
    """Forget failed logins in the background until `stop` is set, in the same way."""
    _every(timings.purge_interval_seconds, "purge", engine, throttle.purge, stop)


def _every(
    seconds: float,
    name: str,
    engine: Engine,
    task: Callable[[Connection], int],
    stop: threading.Event,
) -> None:
    def loop() -> None:
        # Jitter keeps many processes from doing the same at the same moment
        while not stop.wait(seconds * random.uniform(0.5, 1)):  # noqa: S311 no secret depends on it
            try:
                catch_up(engine, task, full_batch=_FULL_BATCH[name], stop=stop)
            except Exception as error:  # noqa: BLE001 whatever went wrong, the next round may succeed
                log.warning("periodic task failed", extra={"task": name, "error": error})

    threading.Thread(target=loop, name=name, daemon=True).start()


def catch_up(engine: Engine, task: Callable[[Connection], int], *, full_batch: int, stop: threading.Event) -> None:
    """Repeat the task while it finds full batches: more would count each vote of a steady stream by itself."""
    while not stop.is_set():
        with engine.begin() as connection:
            found = task(connection)
        if found < full_batch:
            return
