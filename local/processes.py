"""What running processes use, by the kernel's own accounts."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the processes that a process has started; none if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of processes so far, by their own clocks: the ticks of /proc are 10 ms long."""
    # The id of a process's clock, as clock_getcpuclockid(3) makes it
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds, shared pages included; nothing if it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def peak_kib(pids: Iterable[int]) -> int:
    """Return the most memory that any of the processes has ever held."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return max(int(found[1]) for status in statuses if (found := re.search(r"VmHWM:\s+(\d+)", status)))


@contextmanager
def sampling(bytes_held: Callable[[], int], *, every_seconds: float) -> Iterator[list[int]]:
    """Look again and again at how many bytes are held, until the block ends."""
    held, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(every_seconds):
            held.append(bytes_held())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield held
    finally:
        over.set()
        sampler.join()


def unnamed_bytes(pids: Iterable[int]) -> int:
    """Return what processes hold on disk in files that have no name any more."""
    held = 0
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(file.readlink()).endswith(" (deleted)"):
                    held += file.stat().st_blocks * 512
    return held
