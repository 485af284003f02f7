"""What a process and everything it ever started have used, by the kernel's accounts."""

import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local import processes

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
_MACHINE = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process has used so far itself, and what its descendants have, the ended ones included."""

    own_cpu_seconds: float
    children_cpu_seconds: float
    resident_bytes: int  # of those that live
    read_bytes: int  # from disks, by all of them
    written_bytes: int


def usage(pid: int) -> Usage:
    """Return what a process and its descendants have used until now."""
    own, reaped = _cpu_seconds(pid)
    descendants = processes.family(pid)[1:]
    everyone = [pid, *descendants]
    disk = [_disk_bytes(one) for one in everyone]
    return Usage(
        own_cpu_seconds=own,
        children_cpu_seconds=reaped + sum(sum(_cpu_seconds(one)) for one in descendants),
        resident_bytes=sum(map(processes.resident_bytes, everyone)),
        read_bytes=sum(read for read, _ in disk),
        written_bytes=sum(written for _, written in disk),
    )


def machine_seconds() -> dict[str, float]:
    """Return what the machine's processors have done since it started, in seconds of one of them."""
    values = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return {name: int(value) / _TICKS for name, value in zip(_MACHINE, values, strict=False)}


def _cpu_seconds(pid: int) -> tuple[float, float]:
    """Return the user and system time of a process, and of the children that it has waited for."""
    with suppress(OSError):
        # The name in parentheses may hold spaces
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user, system, children_user, children_system = (int(value) / _TICKS for value in fields[11:15])
        return user + system, children_user + children_system
    return 0.0, 0.0


def _disk_bytes(pid: int) -> tuple[int, int]:
    """Return what a process and the children that it has waited for read from disks and wrote to them."""
    with suppress(OSError):
        lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(lines["read_bytes"]), int(lines["write_bytes"])
    return 0, 0


def child_cpu_seconds() -> float:
    """Return what the ended children of this process have used, in seconds of one processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
