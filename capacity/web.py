"""Scenario 1: how many users the web layer takes while the worker layer is out of the way.

Locust drives; the system is the local one with nginx, gunicorn and MariaDB as they are on an instance. Whatever
lands in the queue is taken and answered at once. After each stage its raw data are written, so that a run that was
interrupted goes on where it was.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import boto3
import click

from bench.clips import CLIPS, FULL_HD, Clip
from bench.report import CannotMeasure
from bench.system import fill
from capacity import cloudwatch, raw, sink
from capacity.criteria import Sample, observe
from capacity.evidence import AccessLog, Sampler
from capacity.machine import describe
from capacity.web_plan import FORMS, SERIES, SHORT_SERIES, Form, Stage, run_through
from local import applications, console, processes
from local.emulator import KEY, REGION
from local.loopback import ADDRESS
from local.proxy import Trusted
from local.state import State
from local.supervisor import Supervisor
from local.system import SERVICES, System, running_system

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = ROOT / "capacity-planning" / "scenarios" / "uploads.py"
BUILD = ROOT / "build" / "capacity"
LOCUST = (sys.executable, "-m", "locust")
TEN_MB = Clip(
    "1080p30, 20 s, 10 MB", {"seconds": 20, "grain": 8, "preset": "ultrafast", "kilobits_per_second": 4_000}
)
VIDEOS = {10: TEN_MB, 50: FULL_HD, 100: CLIPS[1]}
GALLERY_VIDEOS = 1_000
GALLERY_PLAYERS = 200
END_SECONDS = 70
"""What a request under way gets to end once its stage is over: longer than nginx waits."""
AT_ONCE_SECONDS = 1e-4
SEEDED = "bench"
"""The request id of videos that were there before anybody uploaded."""


# --- the system -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Bed:
    """The system under load, and what is known of it."""

    system: System
    log: AccessLog
    sink_port: int
    sink_pid: int

    def parts(self, generator: int) -> Mapping[str, Any]:
        """Return which processes are which part; `generator` is Locust's."""
        pid = self.system.pid
        return {
            "nginx": lambda: processes.family(pid("nginx")),
            "gunicorn": lambda: processes.family(pid("web")),
            "mariadb": lambda: processes.family(pid("database")),
            "emulador": lambda: processes.family(pid("emulator")),
            "sumidero": lambda: [self.sink_pid],
            "locust": lambda: processes.family(generator),
            "medición": lambda: [os.getpid()],
        }

    def purge(self) -> None:
        """Forget what was uploaded: rows, objects and messages."""
        with self.system.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM anb.videos WHERE request_id <> %s", [SEEDED])
        self.system.emulator.reset()
        sink.reset(self.sink_port)


@contextmanager
def running_bed(folder: Path, videos: Sequence[Path], *, emulates_store: bool) -> Iterator[Bed]:
    """Run nginx, API, database, queue and store until the block ends, with a gallery to look at."""
    state = State(folder / "sink")
    port = state.port("sink")
    store = sink.service(port, key=KEY, samples=videos, environment=state.environment())
    redirected = {} if emulates_store else {"AWS_ENDPOINT_URL_S3": f"http://{ADDRESS}:{port}"}
    supervisor, log = Supervisor([store], write=console.ignore), AccessLog()
    try:
        supervisor.start_all()
        with running_system(
            folder / "system",
            services=set(SERVICES) - {"worker"},
            settings=applications.RAISED_LIMITS | redirected,
            # As behind a load balancer, each user has an address of their own
            trusted=Trusted(networks=[f"{ADDRESS}/32"]),
            echo=log.echo,
        ) as system:
            fill(
                system.database.admin_url.replace("/?", "/anb?"),
                players=GALLERY_PLAYERS,
                owners=GALLERY_PLAYERS,
                videos=GALLERY_VIDEOS,
            )
            bed = Bed(system=system, log=log, sink_port=port, sink_pid=supervisor.pid("sink"))
            with _answering(system):
                yield bed
    finally:
        supervisor.stop_all()


@contextmanager
def _answering(system: System) -> Iterator[None]:
    """Take what is in the queue and answer at once, as workers that cost nothing would, until the block ends."""
    session = boto3.session.Session(KEY, KEY, region_name=REGION)
    sqs, over = session.client("sqs", endpoint_url=system.emulator.endpoint), threading.Event()
    taker = threading.Thread(target=_answer, args=[sqs, system.emulator.queue_url, over])
    taker.start()
    try:
        yield
    finally:
        over.set()
        taker.join()
        sqs.close()


def _answer(sqs: "SQSClient", queue_url: str, over: threading.Event) -> None:
    while not over.is_set():
        try:
            found = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            entries = [
                {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]}
                for number, one in enumerate(found.get("Messages", []))
            ]
            if entries:
                sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type] # what it lists
        except sqs.exceptions.QueueDoesNotExist:  # between two stages, while everything is forgotten
            over.wait(0.2)


# --- a stage --------------------------------------------------------------------------------------------------


def run_stage(bed: Bed, stage: Stage) -> dict[str, Any]:
    """Run a stage and return its raw data; raises CannotMeasure when Locust could not."""
    bed.purge()
    bed.log.rows.clear()
    record = BUILD / "record.json.gz"
    record.unlink(missing_ok=True)
    with (BUILD / f"{stage.name}.log").open("w") as output:
        locust = subprocess.Popen(
            [*LOCUST, *arguments(stage, host=bed.system.url, record=record), "--forwarded-for"],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        sampler = Sampler(bed.system, bed.parts(locust.pid))
        try:
            with sampler.sampling():
                locust.wait(timeout=stage.seconds + 600)
        finally:
            locust.kill()
            locust.wait()
    if not record.exists():
        raise CannotMeasure(f"Locust did not measure; see {output.name}")
    return _data(stage, record) | {"server": sampler.samples, "nginx": bed.log.rows}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A system that runs already, and whose machines are looked at by CloudWatch alone."""

    url: str
    own_host: str
    """The URL's host once more, where it is not this machine."""


def run_remote_stage(target: Target, stage: Stage) -> dict[str, Any]:
    """Run a stage against a system that runs already, and return its raw data; raises CannotMeasure."""
    record, begun = BUILD / "record.json.gz", datetime.now(UTC)
    record.unlink(missing_ok=True)
    own = ["--own-host", target.own_host, "--players", str(BUILD / "players.json"), "--tidy"]
    with (BUILD / f"{stage.name}.log").open("w") as output:
        subprocess.run(
            [*LOCUST, *arguments(stage, host=target.url, record=record), *own],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not record.exists():
        raise CannotMeasure(f"Locust did not measure; see {output.name}")
    seen: list[dict[str, Any]] = []
    if target.own_host:
        ended = datetime.now(UTC)
        time.sleep(cloudwatch.COMPLETE_AFTER_SECONDS)
        seen = cloudwatch.evidence(boto3.session.Session(), target.own_host, begun=begun, ended=ended)
    return _data(stage, record) | {"target": target.url, "cloudwatch": seen}


def _data(stage: Stage, record: Path) -> dict[str, Any]:
    return {
        "stage": stage.to_json(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "client": raw.read(record),
        "server": [],
        "nginx": [],
    }


def arguments(stage: Stage, *, host: str, record: Path) -> list[str]:
    """Return what Locust is told."""
    return [
        *("--locustfile", str(SCENARIO), "--host", host, "--headless", "--only-summary"),
        *(
            "--users",
            str(stage.users),
            "--spawn-rate",
            f"{stage.users / max(stage.ramp_seconds, AT_ONCE_SECONDS):.4f}",
        ),
        *("--run-time", f"{max(1, round(stage.seconds))}s", "--stop-timeout", str(END_SECONDS)),
        *("--video", str(VIDEOS[stage.megabytes].file()), "--pause-seconds", str(stage.pause_seconds)),
        *("--record", str(record), stage.journey),
    ]


def samples_of(data: Mapping[str, Any]) -> list[Sample]:
    """Return what the clients saw."""
    return [Sample(**one) for one in data["client"]["samples"]]


def held(data: Mapping[str, Any]) -> list[Sample]:
    """Return what began while all users were there: not what those who are leaving still finish."""
    begun = data["client"]["full_after_seconds"]
    ended = begun + data["stage"]["hold_seconds"]
    return [one for one in samples_of(data) if begun <= one.started_seconds < ended]


def holds(data: Mapping[str, Any]) -> bool:
    """Whether every criterion held in a stage of which these are the raw data."""
    seen = observe(held(data))
    return bool(seen.requests) and not seen.broken()


# --- all of it ------------------------------------------------------------------------------------------------


class Checkpoints:
    """The raw data of the stages that are done."""

    def __init__(self, folder: Path, form: Form) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.json.gz"):
            if raw.read(path)["stage"]["form"] != form.name:
                path.unlink()  # of another length: the two say nothing together

    def find(self, stage: Stage) -> dict[str, Any] | None:
        """Return the raw data of a stage that was run exactly so."""
        path = self._path(stage)
        data: dict[str, Any] | None = raw.read(path) if path.exists() else None
        return data if data and data["stage"] == stage.to_json() else None

    def keep(self, stage: Stage, data: Mapping[str, Any]) -> None:
        """Write the raw data of a stage."""
        raw.write(self._path(stage), data)

    def holds(self, stage: Stage, run: Callable[[Stage], dict[str, Any]]) -> bool:
        """Return whether every criterion held in a stage, which is run unless it was before."""
        data = self.find(stage)
        if data is None:
            data = run(stage)
            self.keep(stage, data)
        seen, result = observe(held(data)), holds(data)
        click.echo(
            f"{stage.name}: p95 {seen.p95_seconds:.3f} s, {seen.error_share:.1%} errors of {seen.requests}"
            f"{'' if result else '; broken: ' + ', '.join(seen.broken())}",
            err=True,
        )
        return result

    def _path(self, stage: Stage) -> Path:
        return self._folder / f"{stage.name}.json.gz"


def measure(form_name: str, output: Path, *, target: Target | None = None) -> None:
    """Run the stages that are not done yet, and keep their raw data in the folder; raises CannotMeasure.

    Without a target they run against a system of their own, which is then measured from inside too.
    """
    form = FORMS[form_name]
    series = SHORT_SERIES if form.name == "short" else SERIES
    checkpoints = Checkpoints(output, form)
    if target:
        BUILD.mkdir(parents=True, exist_ok=True)
        chosen = [one for one in series if not one.emulates_store]
        run_through(form, lambda stage: checkpoints.holds(stage, partial(run_remote_stage, target)), chosen)
        return
    click.echo(applications.raised_limits(), err=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    for emulates_store in (False, True):
        chosen = [one for one in series if one.emulates_store is emulates_store]
        if not chosen:
            continue
        videos = [VIDEOS[megabytes].file() for megabytes in sorted({one.megabytes for one in chosen})]
        with _Runner(checkpoints, videos, emulates_store=emulates_store) as runner:
            run_through(form, runner.holds, chosen)


class _Runner:
    """Runs stages in one bed, which is made for the first one that has to be run."""

    def __init__(self, checkpoints: Checkpoints, videos: Sequence[Path], *, emulates_store: bool) -> None:
        self._checkpoints = checkpoints
        self._videos = videos
        self._emulates_store = emulates_store
        self._stack = ExitStack()
        self._bed: Bed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def holds(self, stage: Stage) -> bool:
        """Return whether every criterion held, now or when the stage was run."""
        return self._checkpoints.holds(stage, lambda missing: run_stage(self._running_bed(), missing))

    def _running_bed(self) -> Bed:
        if self._bed is None:
            folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="capacity-")))
            self._bed = self._stack.enter_context(
                running_bed(folder, self._videos, emulates_store=self._emulates_store)
            )
        return self._bed
