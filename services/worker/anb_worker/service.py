"""The worker as a service: composed from its settings, stopped by a signal."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anb import aws, commands, logs, periodic_tasks
from anb.database import connect
from anb.jobs import SqsJobs
from anb.settings import SettingsError
from anb.storage import S3Storage
from anb.timings import Timings
from anb_worker import sandbox
from anb_worker.instance import Group, Metadata, autoscaling_client
from anb_worker.loop import Worker
from anb_worker.sandbox import Limits
from anb_worker.settings import WorkerSettings
from anb_worker.termination import Protection, Termination
from anb_worker.watchdog import Watchdog

LOOP_CONNECTIONS = 1  # the loop and the relay take turns: none of them holds it for more than some seconds
HEARTBEAT_CONNECTIONS = 1  # its own, so that nothing else can keep the lease from being extended


def run(timings: Timings = Timings(), limits: Limits = Limits()) -> int:
    """Work until SIGTERM or SIGINT, which finish or release the job under way.

    When its group wants to end the instance, finish the job and wait for the signal.
    """
    logs.configure(service="worker")
    sandbox.make_undumpable()
    try:
        settings = WorkerSettings.from_environment(os.environ)
    except SettingsError as error:
        commands.say_error("anb_worker", error)
        return commands.MISSING
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watchdog = Watchdog.from_environment(os.environ)
    termination, protection = _of_the_group(settings, timings, stop)
    worker = _compose(
        settings,
        timings=timings,
        limits=limits,
        stop=stop,
        terminating=termination.requested if termination else None,
        busy=protection,
        alive=watchdog.alive,
    )
    watchdog.ready()
    worker.run()
    if termination and termination.requested.is_set():
        termination.complete()
        # systemd would start a worker that ended again
        while not stop.wait(timings.poll_seconds):
            watchdog.alive()
    watchdog.stopping()
    return 0


def _compose(
    settings: WorkerSettings,
    *,
    timings: Timings,
    limits: Limits,
    stop: threading.Event,
    terminating: threading.Event | None,
    busy: Callable[[bool], None],
    alive: Callable[[], None],
) -> Worker:
    """Return a worker, beside which the relay runs until `stop` is set."""
    connected = partial(connect, settings.database_url, idle_seconds=timings.database_idle_seconds)
    engine = connected(pool_size=LOOP_CONNECTIONS)
    # With the client that gives up soon, since a periodic task keeps its connection while it sends
    sending = SqsJobs(aws.sending_sqs_client(), settings.queue_url)
    periodic_tasks.relay_task(sending, timings).start(engine, stop)
    return Worker(
        engine=engine,
        heartbeat_engine=connected(pool_size=HEARTBEAT_CONNECTIONS),
        storage=S3Storage(aws.s3_client(), settings.media_bucket, aws.credentials()),
        jobs=SqsJobs(aws.polling_sqs_client(), settings.queue_url),
        scratch=Path(settings.scratch_dir),
        owner=f"{socket.gethostname()}:{os.getpid()}",
        stop=stop,
        timings=timings,
        limits=limits,
        terminating=terminating,
        busy=busy,
        alive=alive,
    )


def _of_the_group(
    settings: WorkerSettings, timings: Timings, stop: threading.Event
) -> tuple[Termination, Protection] | tuple[None, Callable[[bool], None]]:
    """Return what a worker in an Auto Scaling group has to do with it; nothing without a group."""
    if not (settings.auto_scaling_group and settings.lifecycle_hook):
        return None, lambda _: None
    metadata = Metadata.configured()
    group = Group(autoscaling_client(), metadata, name=settings.auto_scaling_group, hook=settings.lifecycle_hook)
    termination = Termination(metadata, group, stop=stop, timings=timings)
    termination.start()
    return termination, Protection(group)
