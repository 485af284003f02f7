"""Uploads that begin fast and then come a byte at a time, from several addresses: a part of `make abuse`."""

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from anb_web.bodies import WINDOW_SECONDS

ADDRESSES, CONNECTIONS_PER_ADDRESS = 10, 16
AT_ONCE_BYTES = 4_000_000  # of the 100 MB that each declares
ENDED_WITHIN_SECONDS = WINDOW_SECONDS + 10
HONEST_SECONDS = 10.0


@dataclass(frozen=True)
class Observed:
    """What came of it, and what somebody with a good connection saw who uploaded meanwhile."""

    statuses: Counter[int]
    peak_bytes: int
    left_bytes: int
    ended_after_seconds: float
    honest_status: int
    honest_seconds: float

    def problems(self) -> list[str]:
        """Return a sentence for each target that was missed."""
        found = []
        if self.ended_after_seconds > ENDED_WITHIN_SECONDS:
            found.append(f"slow bodies: the last was ended after {self.ended_after_seconds:.0f} s")
        if set(self.statuses) - {429, 503}:
            found.append(f"slow bodies: they were answered with {dict(self.statuses)}")
        if self.left_bytes:
            found.append(f"slow bodies: {self.left_bytes} bytes were left in temporary files")
        if self.honest_status != 201 or self.honest_seconds > HONEST_SECONDS:
            found.append(f"slow bodies: an upload meanwhile had {self.honest_status} in {self.honest_seconds:.1f} s")
        return found

    def to_markdown(self) -> str:
        """Return it as a sentence."""
        answers = ", ".join(f"{count} with {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"**Slow bodies**: {ADDRESSES} addresses begin {CONNECTIONS_PER_ADDRESS} uploads each, send"
            f" {AT_ONCE_BYTES / 1e6:.0f} of 100 MB at once and then a byte a second. Temporary files held at most"
            f" {self.peak_bytes / 1e6:.0f} MB and {self.left_bytes / 1e6:.0f} MB afterwards; all were ended within"
            f" {self.ended_after_seconds:.0f} s ({answers}). An honest upload meanwhile had {self.honest_status}"
            f" after {self.honest_seconds:.1f} s."
        )


def attack(url: str, token: str, clip: Path, *, processes: Sequence[int]) -> Observed:
    """Do it; `processes` are gunicorn's and nginx's, whose children hold the files."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.2):
            peak = max(peak, _held_bytes(processes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(_begin(url, token, source=f"127.8.{number}.1"))
            for _ in range(CONNECTIONS_PER_ADDRESS)
            for number in range(ADDRESSES)
        ]
        begun = time.monotonic()
        honest: list[tuple[int, float]] = []
        uploading = threading.Thread(target=lambda: honest.append(_upload(url, token, clip)))
        uploading.start()
        statuses = _drip_until_answered(connections, seconds=3 * ENDED_WITHIN_SECONDS)
        ended_after_seconds = time.monotonic() - begun
        uploading.join()
    _wait_until(lambda: not _held_bytes(processes), seconds=5)
    over.set()
    watcher.join()
    [(honest_status, honest_seconds)] = honest
    return Observed(
        statuses=statuses,
        peak_bytes=peak,
        left_bytes=_held_bytes(processes),
        ended_after_seconds=ended_after_seconds,
        honest_status=honest_status,
        honest_seconds=honest_seconds,
    )


def _begin(url: str, token: str, *, source: str) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname or "", address.port or 80), 30, (source, 0))
    head = (
        f"POST /api/videos/upload HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="video_file"; filename="v.mp4"\r\n\r\n'
    )
    with suppress(OSError):  # refused already
        connection.sendall(head.encode() + bytes(AT_ONCE_BYTES))
    connection.setblocking(False)
    return connection


def _drip_until_answered(connections: Sequence[socket.socket], *, seconds: float) -> Counter[int]:
    """Return how often each status came; 0 for a connection that was closed without one."""
    waiting, statuses = set(connections), Counter[int]()
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for connection in list(waiting):
            answer = b""
            try:
                answer = connection.recv(4096)
            except BlockingIOError:
                with suppress(OSError):
                    connection.send(b"x")
                continue
            except OSError:
                pass
            found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
            statuses[int(found[1]) if found else 0] += 1
            waiting.remove(connection)
        time.sleep(1)
    return statuses


def _upload(url: str, token: str, clip: Path) -> tuple[int, float]:
    begun = time.monotonic()
    with clip.open("rb") as file:
        answer = requests.post(
            f"{url}/api/videos/upload",
            headers={"Authorization": f"Bearer {token}"},
            data={"title": "Mi mejor tiro"},
            files={"video_file": file},
            timeout=60,
        )
    return answer.status_code, time.monotonic() - begun


def _held_bytes(processes: Sequence[int]) -> int:
    """Return what their children hold in files that have no name any more."""
    held = 0
    for process in processes:
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            for file in Path(f"/proc/{child}/fd").iterdir():
                with suppress(OSError):
                    if str(file.readlink()).endswith(" (deleted)"):
                        held += file.stat().st_blocks * 512
    return held


def _wait_until(holds: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
