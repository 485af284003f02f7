"""What openapi.json cannot say: which correct values go together, and what a real video is."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import schemathesis

from anb import texts

# A real cursor, of a video that nobody has
CURSOR = "MjAyNS0wMy0xMFQxNDozNTowMHw3YjBmNGMzZS05ZDU1LTRhNGUtOGYwZS0yZjZhMWM5YjdkMTA="
MAX_PLACES = 100
MAX_VIDEO_OFFSET, MAX_PLACE_OFFSET = 10_000, 1_000_000
SAMPLE = Path(os.environ["FUZZ_SAMPLE"]).read_bytes()

_taken: set[str] = set()


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Make what was meant to be correct wholly so; what was meant to be wrong stays as it is."""
    del context
    _take_a_new_key(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    # Copies: what is generated is shared between cases
    body: Any = dict(case.body) if isinstance(case.body, dict) else {}
    query: Any = dict(case.query or {})
    match case.operation.path:
        case "/api/auth/signup" if {"email", "password1"} <= body.keys():
            _take_a_free_address(body)
            _agree(body)
            for name in ("first_name", "last_name", "city", "country"):
                _make_readable(body, name, texts.name)
            case.body = body
        case "/api/auth/password-reset" if "password1" in body:
            _agree(body)
            case.body = body
        case "/api/videos/uploads" if "title" in body:
            _make_readable(body, "title", texts.title)
            case.body = body
        case "/api/videos/upload" if "title" in body:
            _make_readable(body, "title", texts.title)
            kwargs.update(data={"title": body["title"]}, files={"video_file": ("video.mp4", SAMPLE, "video/mp4")})
        case "/api/public/videos" | "/api/videos":
            if "cursor" in query:
                query["cursor"] = CURSOR
                query.pop("sort", None)  # it is of a list in the other order
            _page_in_one_way(query)
            _stay_above(MAX_VIDEO_OFFSET, query)
            case.query = query
        case "/api/public/rankings":
            _page_in_one_way(query)
            _stay_above(MAX_PLACE_OFFSET, query)
            case.query = query


def _take_a_new_key(case: schemathesis.Case[Any]) -> None:
    """Let no request be answered with what an earlier one with the same key got."""
    key: Any = case.headers.get("Idempotency-Key") if case.headers else None
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = str(uuid4())


def _agree(body: dict[str, Any]) -> None:
    """Type the same printable password twice."""
    if not body["password1"].isprintable():
        body["password1"] = uuid4().hex
    body["password2"] = body["password1"]


def _take_a_free_address(body: dict[str, Any]) -> None:
    """Sign up with an e-mail that is not taken."""
    if body["email"].lower() in _taken:
        body["email"] = f"{uuid4().hex}@example.com"
    _taken.add(body["email"].lower())


def _make_readable(body: dict[str, Any], name: str, read: Callable[..., str]) -> None:
    """Replace a text that only the length and the pattern allow."""
    try:
        read(body.get(name), max_length=1000)
    except texts.Unfit:
        body[name] = "Ñandú"


def _page_in_one_way(query: dict[str, Any]) -> None:
    """Keep one way to ask: a range of positions, or one size with a cursor, a page or an offset."""
    if "from" in query or "to" in query:
        others = {"page", "limit", "page_size", "size", "offset"}
        if "to" in query:
            first = min(int(query.get("from", 1)), int(query["to"]))
            query["from"] = max(first, int(query["to"]) - MAX_PLACES + 1)
    else:
        others = set([name for name in ("limit", "page_size", "size") if name in query][1:])
        ways = [name for name in ("cursor", "page", "offset") if name in query]
        others |= set(ways[1:])
    for name in others:
        query.pop(name, None)


def _stay_above(deepest: int, query: dict[str, Any]) -> None:
    """Ask for a page that is not too deep, whatever its size is."""
    limit = int(next((query[name] for name in ("limit", "page_size", "size") if name in query), 20))
    if "page" in query:
        query["page"] = min(int(query["page"]), deepest // limit + 1)
