"""Ordinary clients, who notice what others do to the system."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from bench.wire import Request

Visit = tuple[str, Request]
"""A request of an ordinary client, and what kind it is."""


@dataclass
class Observed:
    """What the ordinary clients saw: the times of each kind of request, and a sentence for each failure."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def of(self, *kinds: str) -> list[float]:
        """Return the times of some kinds, or of all."""
        return [each for kind in kinds or self.seconds for each in self.seconds[kind]]


@contextmanager
def visiting(url: str, *visits: Iterator[Visit], pause_seconds: float, keep_alive: bool = True) -> Iterator[Observed]:
    """Have a client for each of the series of visits, until the block ends; they pause before each."""
    observed, over = Observed(), threading.Event()

    def visit(series: Iterator[Visit]) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy does not lead to this machine
            session.headers["Connection"] = "keep-alive" if keep_alive else "close"
            while not over.wait(pause_seconds):
                _visit(session, url, next(series), observed)

    clients = [threading.Thread(target=visit, args=(series,)) for series in visits]
    for client in clients:
        client.start()
    try:
        yield observed
    finally:
        over.set()
        for client in clients:
            client.join()


def _visit(session: requests.Session, url: str, visit: Visit, observed: Observed) -> None:
    kind, sent = visit
    begun = time.perf_counter()
    try:
        answer = session.request(
            sent.method, f"{url}{sent.path}", headers=sent.headers, data=sent.content, timeout=30
        )
        failure = "" if answer.ok else f"{answer.status_code} {answer.text[:200]}"
    except requests.RequestException as error:
        failure = type(error).__name__
    observed.seconds.setdefault(kind, []).append(time.perf_counter() - begun)
    if failure:
        observed.failures.append(f"{kind}: {failure}")
