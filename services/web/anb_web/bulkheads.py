"""How many requests of each kind a process takes at once: what floods one kind leaves the others their places.

There are fewer places than threads. Health checks and refusals need no place, so that they always find a thread.
An upload takes its place in bodies.py, before its body is read, and waits for its turn here when it is whole.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import cast

from flask import Flask, current_app, g, request

from anb.bulkhead import Bulkhead
from anb_web import bodies

_EXTENSION, _DEEP_PAGES = "anb-bulkheads", "anb-deep-pages"
_DEEP_OFFSET = 1000
_SPARE_THREADS = 8

_ACCOUNTS, _LOOKS, _UPLOADS, _READINESS, _REST = "accounts", "looks", "uploads", "readiness", "rest"
# By what the router finds, which no way of writing an address evades
_KINDS = {
    "auth.sign_up": _ACCOUNTS,
    "auth.login": _ACCOUNTS,
    "uploads.complete_direct_upload": _LOOKS,
    "health.ready": _READINESS,
}
_WITHOUT_PLACE = {"auth_request.check", "health.alive", "uploads.upload"}


def _bulkheads() -> dict[str, Bulkhead]:
    """Return a process's bulkheads. Each has room for a class of thirty that does the same at once."""
    return {
        _ACCOUNTS: Bulkhead(running=32),  # which wait for the hashing, bounded by itself
        _LOOKS: Bulkhead(running=4, waiting=28, longest_wait_seconds=10),
        # After all that was sent, waiting is better than a refusal; nginx waits a minute for the answer
        _UPLOADS: Bulkhead(running=8, waiting=bodies.PLACES - 8, longest_wait_seconds=30),
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
    app.extensions[_DEEP_PAGES] = Bulkhead(running=1, waiting=3)
    app.before_request(_enter)
    app.teardown_request(_leave)


def deep_page(offset: int) -> AbstractContextManager[object]:
    """Bound how many rows are read at once that lie far down a list: the database counts its way there.

    Those who read them have a place already, most of which have to stay free for whoever looks at the top.
    """
    if offset <= _DEEP_OFFSET:
        return nullcontext()
    return cast("Bulkhead", current_app.extensions[_DEEP_PAGES])


def _bulkhead(kind: str) -> Bulkhead:
    return cast("Bulkhead", current_app.extensions[_EXTENSION][kind])


def _enter() -> None:
    if request.endpoint in _WITHOUT_PLACE:
        return
    bulkhead = _bulkhead(_KINDS.get(request.endpoint or "", _REST))
    bulkhead.enter()
    g.bulkhead = bulkhead


def _leave(_: BaseException | None) -> None:
    if bulkhead := g.pop("bulkhead", None):
        bulkhead.leave()
