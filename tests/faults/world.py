"""The real processes, with a proxy between the services and everything that they talk to."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import boto3
import imageio_ffmpeg
import pymysql
from botocore.config import Config

from local import applications, database, emulator, packages, proxy, supervisor
from local.emulator import BUCKET, DEAD_LETTERS, KEY, QUEUE, REGION, Emulator
from local.state import State
from local.supervisor import Service, Supervisor
from local.tcp_proxy import TcpProxy
from tests.faults.clocks import CLOCKS
from tests.waiting import until
from twin.instance_cloud import InstanceCloud, running_cloud
from twin.replay import write_replay

Value = TypeVar("Value")

ROOT = Path(__file__).resolve().parent.parent.parent

# Replays the encodings of clips, or does what the file `ffmpeg` orders
_FFMPEG = """#!/bin/sh
case "$*" in
    *" file:body.mp4 "*) ;;
    *) exec "{ffmpeg}" "$@" ;;
esac
order=
if [ -f "{folder}/ffmpeg-once" ] && mv "{folder}/ffmpeg-once" "{folder}/taken.$$" 2>/dev/null; then
    order=$(cat "{folder}/taken.$$")
    rm "{folder}/taken.$$"
elif [ -f "{folder}/ffmpeg" ]; then
    order=$(cat "{folder}/ffmpeg")
fi
case "$order" in
    killed) kill -9 $$ ;;
    hanging) exec sleep 3600 ;;
    deaf) trap '' TERM; while :; do sleep 1; done ;;
    slow*) export REPLAY_HALF_SECONDS=$((${order#slow} * 2)) ;;
    real) exec "{ffmpeg}" "$@" ;;
esac
exec "{replay}" "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Something that a process does when it crosses a step."""

    path: Path

    def is_taken(self) -> bool:
        """Whether it has been obeyed as often as was wanted."""
        return not self.path.exists()


class World(Supervisor):
    """The system with its proxies, its faults and a view of everything that it stores."""

    def __init__(
        self, services: list[Service], *, clock: str, workers: list[str], folder: Path, **found: Any
    ) -> None:
        super().__init__(services, write=self._hear)
        self.clock, self.workers, self.folder = clock, workers, folder
        self.database: database.Database = found["database"]
        self.emulator: Emulator = found["emulator"]
        self.url: str = found["url"]
        self.scratch: Path = found["scratch"]
        self.environment: Mapping[str, str] = found["environment"]
        self.to_database: TcpProxy = found["to_database"]
        self.to_queue: TcpProxy = found["to_queue"]
        self.to_store: TcpProxy = found["to_store"]
        self.cloud: InstanceCloud = found["cloud"]
        session = boto3.session.Session(KEY, KEY, region_name=REGION)
        config = Config(retries={"total_max_attempts": 3}, connect_timeout=3, read_timeout=20, proxies={})
        self.s3 = session.client("s3", endpoint_url=self.emulator.endpoint, config=config)
        self.sqs = session.client("sqs", endpoint_url=self.emulator.endpoint, config=config)
        self.lines: list[tuple[str, str]] = []
        self._log = (folder / "world.log").open("a", buffering=1)

    @property
    def lease_seconds(self) -> int:
        """How long a lease lasts on this world's clock."""
        return CLOCKS[self.clock].timings.lease_seconds

    def _hear(self, name: str, line: str) -> None:
        if name.startswith(("web", "worker")):
            self.lines.append((name, line))
        self._log.write(f"{time.strftime('%H:%M:%S')} {name}: {line}\n")

    # --- faults ---

    def order(
        self,
        step: str,
        side: str = "before",
        *,
        video: str = "any",
        role: str = "any",
        action: str = "crash",
        times: int = 1,
        skip: int = 0,
        gate: str = "",
    ) -> Order:
        """Have the next process that crosses the step do something: `crash`, `freeze`, or wait for a `gate`."""
        path = self._faults / f"{role}.{step}.{side}.{video}"
        draft = path.with_name("draft")
        draft.write_text(json.dumps({"action": action, "times": times, "skip": skip, "gate": gate}))
        draft.rename(path)
        return Order(path=path)

    def open_gate(self, gate: str) -> None:
        """Let whoever waits there go on."""
        (self._faults / gate).touch()

    def obeyed(self) -> list[dict[str, Any]]:
        """Every order that has been obeyed."""
        log = self._faults / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def ffmpeg(self, order: str | None, *, once: bool = False) -> None:
        """Have ffmpeg behave otherwise: always, or the next time only; None returns to normal."""
        file = self._faults / ("ffmpeg-once" if once else "ffmpeg")
        if order is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(order)

    def ffmpeg_has_begun(self) -> bool:
        """Whether the order for the next time has been taken."""
        return not (self._faults / "ffmpeg-once").exists()

    def calm(self) -> None:
        """End every fault that is still in force."""
        for file in self._faults.iterdir():
            if file.name != "ffmpeg.sh":
                file.unlink(missing_ok=True)
        for hop in (self.to_database, self.to_queue, self.to_store):
            hop.heal()
        self.cloud.state = "InService"
        self.cloud.calls.clear()

    @property
    def _faults(self) -> Path:
        return self.folder / "faults"

    # --- what it stores ---

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database answers, past every proxy; waits for one that is starting."""

        def answer() -> tuple[list[tuple[Any, ...]]] | None:
            with (
                suppress(pymysql.err.OperationalError),
                self.database.connect() as connection,
                connection.cursor() as cursor,
            ):
                cursor.execute(query, values)
                return (list(cursor.fetchall()),)
            return None

        return until(answer, seconds=30, what="the database answers")[0]

    def keys(self) -> set[str]:
        """Every object in the bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def messages(self, queue: str = QUEUE) -> tuple[int, int]:
        """How many messages wait and how many are invisible."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url(queue), AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    def dead_letters(self) -> int:
        """How many messages SQS has put aside."""
        return sum(self.messages(DEAD_LETTERS))

    def queue_url(self, queue: str = QUEUE) -> str:
        """The address of a queue, past every proxy."""
        return self.emulator.queue_url.removesuffix(QUEUE) + queue

    # --- processes ---

    def ops(self, *arguments: str, check: bool = True) -> str:
        """Run an operator's command to its end, on this world's clock; return what it printed.

        Its end is a success unless `check` is false.
        """
        done = subprocess.run(
            [*launcher(self.clock), "ops", *arguments],
            env={**self.environment, "ANB_FAULTS": str(self._faults)},
            capture_output=True,
            text=True,
            check=check,
            timeout=300,
        )
        return done.stdout

    def stray_encoders(self) -> list[int]:
        """Processes that work in a worker's scratch folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if str(self.scratch) in str((entry / "cwd").readlink()):
                        found.append(int(entry.name))
        return found

    def scratch_files(self) -> list[Path]:
        """What lies in the workers' scratch folders."""
        return list(self.scratch.glob("*/own/*"))

    def close(self) -> None:
        """Let go of what this view of the system holds, once nothing runs any more."""
        self.s3.close()
        self.sqs.close()
        self._log.close()

    def kill_everything(self) -> None:
        """SIGKILL to every process at once, which start again by themselves."""
        for name in ("nginx", "web", *self.workers, "emulator", "database"):
            if self.is_alive(name):
                with suppress(ProcessLookupError):
                    os.killpg(os.getpgid(self.pid(name)), signal.SIGKILL)


@contextmanager
def running_world(
    folder: Path, *, clock: str, workers: int = 3, code: Path | None = None, small_disks: int = 0
) -> Iterator[World]:
    """The whole system until the block ends, on the clock of that name; all workers are of one instance.

    `code` holds other services than ours. The last `small_disks` workers have 2 MB of scratch.
    """
    supervisor.DEATHS_ALLOWED, supervisor.RESTART_AFTER_SECONDS = 100_000, 0.3
    state = State(folder)
    # A copy: the workers of an instance know of each other by locks on their own files
    code = code or copy_services(state.folder("code") / "services")
    with state.locked(), running_cloud() as cloud:
        world = _compose(state, clock=clock, workers=workers, code=code, small_disks=small_disks, cloud=cloud)
        try:
            world.start_all()
            _keep_a_journal(world)
            yield world
        finally:
            world.stop_all()
            for hop in (world.to_database, world.to_queue, world.to_store):
                hop.close()
            world.close()


def launcher(clock: str) -> list[str]:
    """The command of a process on this clock, but for its role and arguments."""
    return [sys.executable, "-m", "tests.faults.launcher", clock]


def copy_services(copy: Path) -> Path:
    """Return a copy of our services' code."""
    return shutil.copytree(ROOT / "services", copy, ignore=shutil.ignore_patterns("__pycache__"))


def _compose(state: State, *, clock: str, workers: int, code: Path, small_disks: int, cloud: InstanceCloud) -> World:
    programs = packages.find("mariadbd", "nginx")
    web_port, port = state.port("web"), state.port("nginx")
    where, database_service = database.prepare(state, mariadbd=programs["mariadbd"])
    front, nginx_service = proxy.prepare(state, nginx=programs["nginx"], port=port, upstream_port=web_port)
    aws, emulator_service = emulator.prepare(state, web_origin=front.url, timings=CLOCKS[clock].timings)
    to_database, to_queue, to_store = (TcpProxy(upstream) for upstream in (where.port, aws.port, aws.port))
    _write_ffmpeg(state)
    direct = applications.environment(state, database=where, emulator=aws) | _code(code)
    ours = direct | {
        **applications.RAISED_LIMITS,
        "ANB_FAULTS": str(state.folder("faults")),
        "ANB_DATABASE_URL": replace(where, port=to_database.port).url,
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{to_store.port}",
        "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{to_queue.port}",
        "IMAGEIO_FFMPEG_EXE": str(state.folder("faults") / "ffmpeg.sh"),
    }
    names = [f"worker{number}" for number in range(1, workers + 1)]
    services = [
        database_service,
        emulator_service,
        applications.migrations(direct),
        _launched(applications.web(ours, port=web_port), clock=clock, role="web", skip=3),
        nginx_service,
        *(
            _worker(
                name,
                ours | cloud.environment,
                clock=clock,
                scratch=state.folder("scratch") / name,
                small=number >= workers - small_disks,
            )
            for number, name in enumerate(names)
        ),
    ]
    return World(
        services,
        clock=clock,
        workers=names,
        folder=state.root,
        database=where,
        emulator=aws,
        url=front.url,
        scratch=state.folder("scratch"),
        environment=direct,
        to_database=to_database,
        to_queue=to_queue,
        to_store=to_store,
        cloud=cloud,
    )


def _write_ffmpeg(state: State) -> None:
    faults = state.folder("faults")
    script = faults / "ffmpeg.sh"
    replay = write_replay(state.folder("replay") / "ffmpeg.sh", cache=state.folder("encoded"), seconds=0)
    script.write_text(
        _FFMPEG.replace("{ffmpeg}", imageio_ffmpeg.get_ffmpeg_exe())
        .replace("{folder}", str(faults))
        .replace("{replay}", str(replay))
    )
    script.chmod(stat.S_IRWXU)


def _code(code: Path) -> dict[str, str]:
    """Where Python finds the services before it finds ours, and these tests."""
    found = [*(code / name for name in ("anb", "web", "worker")), ROOT]
    return {"PYTHONPATH": os.pathsep.join(str(path) for path in found)}


def _launched(service: Service, *, clock: str, role: str, skip: int) -> Service:
    """The service with the launcher in the place of `python -m PROGRAM`."""
    return replace(service, command=[*launcher(clock), role, *service.command[skip:]])


def _worker(name: str, settings: Mapping[str, str], *, clock: str, scratch: Path, small: bool) -> Service:
    scratch.mkdir(parents=True, exist_ok=True)
    service = _launched(
        applications.worker({**settings, "ANB_SCRATCH_DIR": str(scratch / "own")}),
        clock=clock,
        role="worker",
        skip=3,
    )
    if small:
        mounting = f"mount -t tmpfs -o size=2m none '{scratch}' && exec \"$@\""
        service = replace(
            service,
            command=["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting, "sh", *service.command],
        )
    return replace(service, name=name)


def _keep_a_journal(world: World) -> None:
    """Have the database note each end of a video, whoever writes it and however often."""
    world.rows("CREATE DATABASE IF NOT EXISTS faults")
    world.rows(
        "CREATE TABLE IF NOT EXISTS faults.ends (id BIGINT AUTO_INCREMENT PRIMARY KEY, video_id CHAR(32) NOT NULL, "
        "became VARCHAR(16) NOT NULL, attempt INT NOT NULL, at DATETIME(6) NOT NULL, KEY (video_id)) ENGINE=InnoDB"
    )
    world.rows(
        "CREATE OR REPLACE TRIGGER anb.faults_ends AFTER UPDATE ON anb.videos FOR EACH ROW "
        "IF NEW.status <> OLD.status AND (NEW.status IN ('processed', 'failed') "
        "OR OLD.status IN ('processed', 'failed')) "
        "OR NEW.attempt <> OLD.attempt AND OLD.status IN ('processed', 'failed') "
        "THEN INSERT INTO faults.ends (video_id, became, attempt, at) "
        "VALUES (NEW.id, NEW.status, NEW.attempt, UTC_TIMESTAMP(6)); END IF"
    )
