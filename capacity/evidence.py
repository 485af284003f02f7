"""What the machine and each part of the system did meanwhile, by the kernel's and the database's own accounts."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from local import processes
from local.system import System

EVERY_SECONDS = 1.0
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECTOR_BYTES = 512
_TICKS = os.sysconf("SC_CLK_TCK")

Members = Callable[[], Sequence[int]]
"""The processes of a part, which come and go."""


class Sampler:
    """Looks once a second; a part's CPU counts up as long as its processes live."""

    def __init__(self, system: System, parts: Mapping[str, Members]) -> None:
        self.samples: list[dict[str, Any]] = []
        self._system = system
        self._parts = parts

    def sample(self, cursor: Any) -> None:
        """Look once."""
        found = {name: list(members()) for name, members in self._parts.items()}
        self.samples.append(
            {
                "at": round(time.time(), 3),
                "cpu_seconds": {name: round(sum(map(_cpu_seconds, pids)), 4) for name, pids in found.items()},
                "memory_bytes": {name: sum(map(processes.resident_bytes, pids)) for name, pids in found.items()},
                **machine(),
                **_database(cursor),
                "queued": sum(self._system.emulator.messages()),
            }
        )

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Look again and again until the block ends."""
        over = threading.Event()
        sampler = threading.Thread(target=self._run, args=[over])
        sampler.start()
        try:
            yield
        finally:
            over.set()
            sampler.join()

    def _run(self, over: threading.Event) -> None:
        with closing(self._system.database.connect()) as connection, connection.cursor() as cursor:
            self.sample(cursor)
            while not over.wait(EVERY_SECONDS):
                self.sample(cursor)


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):  # it has ended
        return processes.cpu_seconds([pid])
    return 0.0


def _database(cursor: Any) -> dict[str, int]:
    names = "'Threads_connected', 'Threads_running', 'Innodb_row_lock_current_waits'"
    cursor.execute(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
    found = {name: int(value) for name, value in cursor.fetchall()}
    return {
        "database_connections": found["Threads_connected"],
        "database_running": found["Threads_running"],
        "lock_waits": found["Innodb_row_lock_current_waits"],
    }


def machine() -> dict[str, float]:
    """Return what all of the machine has done since it started, and the memory that is left."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    disks = [line.split() for line in Path("/proc/diskstats").read_text().splitlines()]
    whole = [fields for fields in disks if Path(f"/sys/block/{fields[2]}/device").exists()]
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    loopback = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return {
        # All but idling and waiting for disks
        "busy_seconds": (sum(ticks[:8]) - ticks[3] - ticks[4]) / _TICKS,
        "disk_wait_seconds": ticks[4] / _TICKS,
        "available_bytes": int(memory["MemAvailable"].split()[0]) * 1024,
        "disk_read_bytes": sum(int(fields[5]) for fields in whole) * _SECTOR_BYTES,
        "disk_written_bytes": sum(int(fields[9]) for fields in whole) * _SECTOR_BYTES,
        "loopback_bytes": int(loopback.split(":")[1].split()[0]),
    }


class AccessLog:
    """What nginx noted of each request: when, status, seconds, and the application's share of them."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def echo(self, service: str, line: str) -> None:
        """Take a line that a service printed."""
        if service != "nginx" or '"upstream_seconds"' not in line:
            return
        entry = json.loads(line)
        # Of a subrequest and the request, or of nobody
        shares = [float(word) for word in entry["upstream_seconds"].replace(":", ",").split(",") if word.strip(" -")]
        self.rows.append(
            [
                round(time.time(), 3),
                entry["method"],
                _ID.sub("{id}", entry["path"]),
                entry["status"],
                entry["seconds"],
                sum(shares),
            ]
        )
