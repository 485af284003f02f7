"""What every request goes through: its id, its log line, its response headers and the reading of its body."""

import logging
import re
import time
import uuid
from contextlib import suppress
from typing import Any

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import BadRequest, NotFound

from anb.errors import Invalid, Refusal

HEADER = "X-Request-Id"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LARGEST_JSON_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_UNLESS_THE_VIEW_SAYS_OTHERWISE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)

log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Give every request an id, which its response and its log line repeat."""
    app.before_request(_begin)
    app.after_request(_finish)


def request_id() -> str:
    """Return the current request's id."""
    return str(g.request_id)


def json_object() -> dict[str, Any]:
    """Return the JSON object in the request's body, whatever type it declares; Invalid for anything else."""
    request.max_content_length = _LARGEST_JSON_BYTES
    try:
        sent = request.get_json(force=True)
    except (BadRequest, RecursionError, UnicodeDecodeError):
        raise Invalid("El cuerpo de la petición no es JSON válido.") from None
    if not isinstance(sent, dict):
        raise Invalid("El cuerpo de la petición debe ser un objeto JSON.")
    return sent


def _begin() -> None:
    sent = request.headers.get(HEADER, "")
    g.request_id = sent if _ACCEPTED_ID.fullmatch(sent) else str(uuid.uuid4())
    g.started = time.perf_counter()
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound  # Werkzeug would take them for one slash; those within a path name nothing anyway


def _read_the_rest(sent: Request) -> None:
    """Read what the view left of the body.

    gunicorn closes a connection on which more than 64 KiB are left, and nginx, still sending, loses the answer:
    one in four large uploads without a token got a 503 instead of its 401.
    """
    with suppress(OSError, Refusal):  # the client has gone, or is too slow for anybody to wait for
        while sent.environ["wsgi.input"].read(_READ_BYTES):
            pass


def _finish(response: Response) -> Response:
    # What the proxies stand for, looked up once
    sent, noted = request._get_current_object(), g._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 as Werkzeug documents it
    # An overloaded server reads on for nobody; nginx answers 503 as well when it loses one
    if response.status_code != 503 and (sent.content_length or "HTTP_TRANSFER_ENCODING" in sent.environ):
        _read_the_rest(sent)
    headers = response.headers
    present = set(headers.keys(lower=True))  # looking for each by itself takes three times as long
    headers.add(HEADER, noted.request_id)
    for name, value in _UNLESS_THE_VIEW_SAYS_OTHERWISE:
        if name.lower() not in present:
            headers.add(name, value)
    if sent.is_secure:
        headers.add("Strict-Transport-Security", "max-age=31536000")
    log.info(
        "request",
        extra={
            "request_id": noted.request_id,
            "method": sent.method,
            "path": sent.path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - noted.started) * 1000, 1),
        },
    )
    return response
