"""Requests that no client library would send, byte by byte, and what every answer to them has to be.

Below /api an answer is in the API's one shape or it is a documented success; nothing is a page of nginx's or
gunicorn's; nothing hangs; and the only server's error is 503 with Retry-After, beside what HTTP itself asks for.
"""

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

ANSWERED_WITHIN_SECONDS = 10.0
CLOSED_WITHIN_SECONDS = 5.0
SILENT_SECONDS = 0.3  # what is not answered within so long may be a request that has no end yet
# 501 for an unknown transfer coding and 505 for an unknown version, as RFC 9112 says
_SERVER_ERRORS = {501, 503, 505}
_SHAPE = {"error", "message", "detail"}
_PAGES = (b"<center>", b"<h1><p>", b"<title>308", b"<!doctype html>\n<html lang=en>\n<title>")

_METHODS = (*("GET", "POST") * 6, "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PRI")
_ODD_METHODS = ("get", "", "G T", "G\0T", "GET\t", "M" * 9000, "Ñ", "GET /x HTTP/1.1\r\nHost: x\r\n\r\nGET")
_PATHS = (
    *("/api/public/rankings", "/api/public/videos", "/api/videos", "/api/videos/upload", "/api/videos/uploads"),
    *("/api/auth/login", "/api/auth/signup", "/api/health", "/api/nowhere", "/api/", "/api"),
    "/api/videos/7b0f4c3e-9d55-4a4e-8f0e-2f6a1c9b7d10",
    "/api/public/videos/7b0f4c3e-9d55-4a4e-8f0e-2f6a1c9b7d10/vote",
    "/api/videos/uploads/7b0f4c3e-9d55-4a4e-8f0e-2f6a1c9b7d10/complete",
)
_PIECES = (
    *("/", "//", "/.", "/..", "/%2e%2e", "/%2e%2e/%2e%2e", "/%2f", "%00", "%ff", "%", "%zz", "%C3", "%0d%0a", "á"),
    *(";x=1", "\\", "\x7f", "\x01", "\xff", " ", "\t", "|", "^", "`", '"', "<b>", "{}", "#x", "?", "&", "=", "+"),
)
_QUERIES = (
    *("", "", "", "?", "?city=Bogotá", "?city=Bogot%C3%A1", "?city=%ff", "?city=%00", "?city=\xff\xfe", "?city=%"),
    *("?limit=-1", "?page=1&limit=99999999999999999999", "?limit=٣", "?cursor=%00", "?cursor=á", "?=&&=;", "?a#b"),
    *("?from=2&to=1", "?limit=1&limit=2", "?%00=%00", "?city=a+b%20c", "?" + "a=b&" * 3000, "?x=" + "é" * 5000),
)
_ORIGINS = ("http://x", "https://example.com", "http://[::1]:80", "HTTP://X", "ftp://x", "http://", "x:80", "//x")
_VERSIONS = (
    *(" HTTP/1.1",) * 60,
    *(" HTTP/1.0", " HTTP/0.9", " HTTP/2.0", " HTTP/1.2", " HTTP/9.9", " http/1.1", "", "  HTTP/1.1", " HTTP/1.1 x"),
)
_HOSTS = (
    *(("Host: x",),) * 40,
    *((), ("Host:",), ("Host: x", "Host: y"), ("Host: x/y",), ("Host: á",), ("Host: x y",), ("Host: [::1",)),
    *(("Host: x:99999",), ("Host: \x01",), ("Host: a@b",), ("Host: " + "x" * 9000,), ("Host: ..",), ("Host : x",)),
)
_FRAMINGS = (
    *((),) * 40,
    *((f"Content-Length: {size}",) for size in ("0", "2", "20", "-1", "+2", "0x2", "2,2", " ", "2 2", "9" * 30)),
    *((f"Content-Length: {size}",) for size in ("65537", "200000000")),
    *((f"Transfer-Encoding: {coding}",) for coding in ("chunked", "Chunked", "gzip", "identity", "xchunked", "\x0b")),
    *((f"Transfer-Encoding: {coding}",) for coding in ("chunked, chunked", "gzip, chunked", "chunked, gzip", ",")),
    ("Content-Length: 2", "Transfer-Encoding: chunked"),
    ("Content-Length: 2", "Content-Length: 3"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
)
_HEADERS = (
    *("X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl", "X-Forwarded-Proto: foo", "X-Forwarded-Proto: https"),
    *("X-Forwarded-For: 1.2.3.4, 5.6.7.8", "X-Forwarded-For: \xff", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4"),
    *("X-Forwarded-Host: evil", "X-Forwarded-Prefix: /x", "X-Forwarded-Port: x", "X-Script-Name: /x", "Proxy: x"),
    *("SCRIPT_NAME: /x", "PATH_INFO: /x", "X_Forwarded_For: 1.2.3.4", "REMOTE_USER: root", "X-Raw-Target: /docs"),
    *("X-HTTP-Method-Override: DELETE", "Expect: 100-continue", "Expect: 200-ok", "Expect: ", "TE: trailers"),
    *("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings", "Connection: close"),
    *("Connection: keep-alive", "Connection: X-Request-Id", "Keep-Alive: timeout=9999999", "Trailer: Host"),
    *("Content-Type: application/json", "Content-Type: \xff", "Content-Type: multipart/form-data"),
    *("Content-Type: multipart/form-data; boundary=", "Content-Type: multipart/form-data; boundary=\xff"),
    *("Content-Type: application/json; charset=utf-7", "Content-Type: text/html; charset=\x01", "Content-Type:"),
    *(
        "Authorization: Bearer x",
        "Authorization: Bearer \xff",
        "Authorization: Bearer \x01",
        "Authorization: Basic eDp4",
    ),
    *("Authorization:", "Authorization: Bearer a.b.c", "Authorization: Bearer " + "x" * 9000, "Accept: text/html"),
    *(
        "Accept: \xff",
        "Accept: */*;q=x",
        "Accept-Encoding: gzip;q=x, *",
        "Origin: null",
        "Origin: \xff",
        "Cookie: \x01",
    ),
    *(
        "If-None-Match: *",
        "If-Modified-Since: x",
        "Range: bytes=0-0,1-1,-1",
        "Idempotency-Key: \xff",
        "X-Request-Id: '\"",
    ),
    *(
        "Idempotency-Key: ",
        "No colon",
        ": no name",
        "Sp ace: x",
        "Bad\x01: x",
        "Ñ: x",
        "X: a\x01b",
        "X: a\x00b",
        "X: a\x7fb",
    ),
    *("X: a\rb", "X: a\nb", "X: a\r\n folded", " folded", "X: " + "x" * 17_000, "\r\nX: y", "X_Under_Score: x"),
)
_BODIES = (
    *("",) * 10,
    *(
        "{}",
        "x" * 20,
        "\0\xff",
        '{"email": "a\\u0000", "password": []}',
        '{"email": "á", "password": "\ud800"}',
        "[" * 40,
    ),
    *(
        "2\r\n{}\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "0\r\nHost: y\r\n\r\n",
        "x\r\n",
        "-1\r\n",
        "2;ext=\x01\r\n{}\r\n0\r\n\r\n",
    ),
    *("ffffffffffffffffff\r\n", "2\r\n{}0\r\n\r\n", "2\n{}\n0\n\n", "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"),
)


@dataclass(frozen=True)
class Finding:
    """A request whose answer was not as it has to be."""

    request: bytes
    answer: bytes
    problem: str

    def __str__(self) -> str:
        """Tell it in a form that can be sent again."""
        return f"{self.problem}\n  sent: {self.request[:600]!r}\n  answered: {self.answer[:600]!r}"


def requests(random: Random) -> Iterator[bytes]:
    """Yield requests without end, most of them wrong in one way or a few."""
    while True:
        yield _mutated(random, _request(random))


def _request(random: Random) -> bytes:
    rarely = random.random() < 0.1
    method = random.choice(_ODD_METHODS if rarely else _METHODS)
    headers = [
        *random.choice(_HOSTS),
        *random.choice(_FRAMINGS),
        *random.sample(_HEADERS, k=random.choice((0, 0, 0, 1, 1, 2, 5))),
    ]
    random.shuffle(headers)
    lines = [f"{method} {_target(random)}{random.choice(_VERSIONS)}", *headers, "", ""]
    end = random.choice(("\r\n",) * 40 + ("\n", "\r"))
    text = end.join(lines) + random.choice(_BODIES)
    return text.encode(random.choice(("utf-8", "utf-8", "latin-1")), "replace")


def _target(random: Random) -> str:
    path = random.choice(_PATHS)
    for _ in range(random.choice((0, 0, 0, 0, 1, 2))):
        at = random.randrange(len("/api"), len(path) + 1) if random.random() < 0.9 else 0
        path = path[:at] + random.choice(_PIECES) + path[at:]
    origin = random.choice(_ORIGINS) if random.random() < 0.05 else ""
    longer = "/x" * 9000 if random.random() < 0.01 else ""
    return random.choice((f"{origin}{path}{longer}{random.choice(_QUERIES)}",) * 30 + ("*", ""))


def _mutated(random: Random, request: bytes) -> bytes:
    """Return it as it is, or with a few bytes of its beginning changed, removed or repeated."""
    changed = bytearray(request)
    for _ in range(random.choice((0,) * 12 + (1, 3))):
        at = random.randrange(min(len(changed), 200))
        match random.randrange(3):
            case 0:
                changed[at] = random.randrange(256)
            case 1:
                del changed[at]
            case _:
                changed[at:at] = changed[at : at + random.randrange(1, 9)]
    return bytes(changed)


def findings(port: int, sent: Iterable[bytes], *, seconds: float | None = None) -> Iterator[Finding]:
    """Send each to the port of this machine, for so long if that is said; yield what was not answered properly."""
    deadline = None if seconds is None else time.monotonic() + seconds
    for request in sent:
        if deadline is not None and time.monotonic() > deadline:
            return
        answer = exchange(port, request)
        problem = "it hangs" if answer is None else problem_with(request, answer)
        if problem:
            yield Finding(request, answer or b"", problem)


def exchange(port: int, request: bytes) -> bytes | None:
    """Return the first answer, or what there is of one when the connection is closed; None when nothing happens."""
    with socket.create_connection(("127.0.0.1", port), timeout=SILENT_SECONDS) as connection:
        received, has_given_up = b"", False
        deadline = time.monotonic() + ANSWERED_WITHIN_SECONDS
        with suppress(OSError):  # it has closed the connection, which is an answer as well
            connection.sendall(request)
            while (answer := _first_answer(received, request)) is None:
                try:
                    piece = connection.recv(1 << 16)
                except TimeoutError:
                    if time.monotonic() > deadline:
                        return None
                    if not has_given_up and not _after_100(received):
                        # Perhaps it waits for the rest; whatever it does, it must end now
                        has_given_up, deadline = True, time.monotonic() + CLOSED_WITHIN_SECONDS
                        connection.shutdown(socket.SHUT_WR)
                    continue
                if not piece:
                    break
                received += piece
            else:
                return answer
        return _after_100(received)


def _after_100(received: bytes) -> bytes:
    while received.startswith(b"HTTP/1.1 100") and b"\r\n\r\n" in received:
        received = received.partition(b"\r\n\r\n")[2]
    return received


def _first_answer(received: bytes, request: bytes) -> bytes | None:
    """Return the first answer without those that follow; None as long as it is not complete."""
    received = _after_100(received)
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if request.startswith(b"HEAD ") or _status(head) in {204, 304}:
        return head + separator
    return head + separator + body[: int(length[1])] if length and len(body) >= int(length[1]) else None


def _status(head: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] (\d{3})[ \r]", head)
    return int(found[1]) if found else 0


def problem_with(request: bytes, answer: bytes) -> str | None:
    """Return what is wrong with the answer, if anything."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = _status(head)
    is_of_the_api = re.match(rb"\S+ (?:https?://[^/ ]*)?/api[/? ]", request) or status == 400
    if any(page in answer for page in _PAGES):
        return "it is a page"
    if status >= 500 and status not in _SERVER_ERRORS:
        return f"it is a {status}"
    if status in {429, 503} and b"\r\nretry-after: " not in head.lower():
        return f"it is a {status} without Retry-After"
    # Closed without a word, and HTTP/0.9, have no status
    return _problem_with_body(head, body, status=status) if status and is_of_the_api and body else None


def _problem_with_body(head: bytes, body: bytes, *, status: int) -> str | None:
    if b"\r\ncontent-type: application/json" not in head.lower():
        return "it is no JSON"
    return None if status < 400 else _problem_with_shape(body)


def _problem_with_shape(body: bytes) -> str | None:
    try:
        error = json.loads(body)
    except ValueError:
        return "it is no JSON, whatever it says"
    if set(error) - {"fields"} != _SHAPE or error["message"] != error["detail"]:
        return "it is not in the shape of errors"
    return None
