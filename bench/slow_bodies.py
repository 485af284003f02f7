"""Uploads that begin fast and then come a byte at a time, from several addresses: a part of `abuse.py`."""

import re
import socket
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from anb_web.bodies import WINDOW_SECONDS
from bench import wire
from bench.system import account, log_in
from demo.client import Client
from local import processes

ADDRESSES, CONNECTIONS_PER_ADDRESS = 10, 16
AT_ONCE_BYTES = 4_000_000  # of the 100 MB that each declares
MAX_SECONDS = WINDOW_SECONDS + 10
MAX_HONEST_SECONDS = 10.0
FILES_GONE_WITHIN_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What came of it, and what somebody with a good connection saw who uploaded meanwhile."""

    statuses: Counter[int]
    peak_bytes: int
    left_bytes: int
    ended_after_seconds: float
    honest_status: int
    honest_seconds: float

    def missed(self) -> list[str]:
        """Return a sentence for each limit that did not hold."""
        honest = f"{self.honest_status} in {self.honest_seconds:.1f} s"
        limits = {
            f"the last was ended after {self.ended_after_seconds:.0f} s": self.ended_after_seconds > MAX_SECONDS,
            f"they were answered with {dict(self.statuses)}": set(self.statuses) - {429, 503},
            f"{self.left_bytes} bytes were left in temporary files": self.left_bytes,
            f"an upload meanwhile had {honest}": self.honest_status != 201
            or self.honest_seconds > MAX_HONEST_SECONDS,
        }
        return [f"slow bodies: {limit}" for limit, is_missed in limits.items() if is_missed]

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


def attack(url: str, *, player: int, clip: Path, servers: Sequence[int]) -> Observed:
    """Do it as the player, who also uploads the clip meanwhile; the children of `servers` hold the files."""
    beginning = _beginning(log_in(url, player))

    def held_bytes() -> int:
        return processes.unnamed_bytes(child for server in servers for child in processes.children(server))

    with (
        ExitStack() as stack,
        ThreadPoolExecutor(1) as uploader,
        processes.sampling(held_bytes, every_seconds=0.2) as held,
    ):
        connections = [
            stack.enter_context(wire.begin(url, beginning, source=f"127.8.{number}.1"))
            for _ in range(CONNECTIONS_PER_ADDRESS)
            for number in range(ADDRESSES)
        ]
        begun = time.monotonic()
        uploading = uploader.submit(_upload, url, player, clip)
        statuses = _drip_until_answered(connections, seconds=3 * MAX_SECONDS)
        ended_after_seconds = time.monotonic() - begun
        honest_status, honest_seconds = uploading.result()
    deadline = time.monotonic() + FILES_GONE_WITHIN_SECONDS
    while (left := held_bytes()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return Observed(
        statuses=statuses,
        peak_bytes=max(held),
        left_bytes=left,
        ended_after_seconds=ended_after_seconds,
        honest_status=honest_status,
        honest_seconds=honest_seconds,
    )


def _beginning(token: str) -> bytes:
    head = wire.head("POST", "/api/videos/upload", length=100_000_000, token=token, content_type=wire.MULTIPART)
    part = b'--x\r\nContent-Disposition: form-data; name="video_file"; filename="v.mp4"\r\n\r\n'
    return head + part + bytes(AT_ONCE_BYTES)


def _drip_until_answered(connections: Sequence[socket.socket], *, seconds: float) -> Counter[int]:
    """Return how often each status came; 0 for a connection that was closed without one."""
    waiting, statuses = set(connections), Counter[int]()
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for connection in list(waiting):
            answer = wire.drip(connection)
            if answer is not None:
                found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
                statuses[int(found[1]) if found else 0] += 1
                waiting.remove(connection)
        time.sleep(1)
    return statuses


def _upload(url: str, player: int, clip: Path) -> tuple[int, float]:
    with Client(url) as client:
        client.log_in(**account(player))
        begun = time.monotonic()
        answer = client.upload(clip, title="Mi mejor tiro")
    return answer.status, time.monotonic() - begun
