"""How many requests of each kind a process takes at once: what floods one kind leaves the others their places.

There are fewer places than threads. Health checks and refusals need no place, so that they always find a thread.
An upload takes its place in bodies.py, before its body is read, and waits for its turn here when it is whole.
"""

from typing import cast

from flask import Flask, current_app, g, request

from anb.bulkhead import Bulkhead
from anb_web import bodies, paging

_EXTENSION = "anb-bulkheads"
_DEEP_OFFSET = 1000
_SPARE_THREADS = 8

_ACCOUNTS, _FILE_CHECKS, _UPLOADS, _READINESS = "accounts", "file checks", "uploads", "readiness"
_DEEP_PAGES, _REST = "deep pages", "rest"
# By what the router finds, which no way of writing an address evades
_KINDS = {
    "auth.sign_up": _ACCOUNTS,
    "auth.login": _ACCOUNTS,
    "auth.reset_password": _ACCOUNTS,
    "uploads.complete_direct_upload": _FILE_CHECKS,
    "health.ready": _READINESS,
}
_WITHOUT_PLACE = {"auth_request.check", "health.alive", "uploads.upload"}


def _bulkheads() -> dict[str, Bulkhead]:
    """Return a process's bulkheads. What a class of thirty does at once has room for it."""
    return {
        _ACCOUNTS: Bulkhead(running=32),  # which wait for the hashing, bounded by itself
        _FILE_CHECKS: Bulkhead(running=4, waiting=28, max_wait_seconds=10),
        # After all that was sent, waiting is better than a refusal; nginx waits a minute for the answer, half of
        # which is for the store
        _UPLOADS: Bulkhead(running=8, waiting=bodies.PLACES - 8, max_wait_seconds=30),
        # The database counts its way to what lies far down a list; who looks at the top is to notice nothing of it
        _DEEP_PAGES: Bulkhead(running=1, waiting=3),
        _READINESS: Bulkhead(running=2),  # each asks from three threads, for 2 s when a part is away
        _REST: Bulkhead(running=16, waiting=48),  # a browser asks for half a dozen files at once
    }


def uploads() -> Bulkhead:
    """Return where an upload that is whole waits until it is checked and stored."""
    return _bulkhead(_UPLOADS)


def places() -> int:
    """Return how many requests a process works on or lets wait, of all kinds together."""
    return sum(bulkhead.places for bulkhead in _bulkheads().values())


def threads() -> int:
    """Return how many threads a process needs."""
    return places() + _SPARE_THREADS


def install(app: Flask) -> None:
    """Let every request but health checks take a place of its kind; who finds none is refused at once."""
    app.extensions[_EXTENSION] = _bulkheads()
    app.before_request(_enter)
    app.teardown_request(_leave)


def _bulkhead(kind: str) -> Bulkhead:
    return cast("Bulkhead", current_app.extensions[_EXTENSION][kind])


def _enter() -> None:
    if request.endpoint in _WITHOUT_PLACE:
        return
    bulkhead = _bulkhead(_kind())
    bulkhead.enter()
    g.bulkhead = bulkhead


def _kind() -> str:
    kind = _KINDS.get(request.endpoint or "", _REST)
    if kind == _REST and request.query_string and paging.depth(request.args) > _DEEP_OFFSET:
        return _DEEP_PAGES
    return kind


def _leave(_: BaseException | None) -> None:
    if bulkhead := g.pop("bulkhead", None):
        bulkhead.leave()
