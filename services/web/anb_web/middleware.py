"""What every request goes through: its id, its response headers and the reading of its body."""

import re
import uuid
from contextlib import suppress
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadRequest, NotFound

from anb.errors import Invalid, Refusal

HEADER = "X-Request-Id"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_MAX_JSON_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def install(app: Flask) -> None:
    """Give every request an id, which its response repeats; nginx, which makes most of them, logs each request."""
    app.before_request(_begin)
    app.after_request(_finish)


def request_id() -> str:
    """Return the current request's id."""
    return str(g.request_id)


def json_object() -> dict[str, Any]:
    """Return the JSON object in the request's body, whatever type it declares; Invalid for anything else."""
    request.max_content_length = _MAX_JSON_BYTES
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
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound  # Werkzeug would take them for one slash; those within a path name nothing anyway


def _read_the_rest() -> None:
    """Read what the view left of the body.

    gunicorn closes a connection on which more than 64 KiB are left, and nginx, still sending, loses the answer:
    one in four large uploads without a token got a 503 instead of its 401.
    """
    with suppress(OSError, Refusal):  # the client has gone, or is too slow for anybody to wait for
        while request.environ["wsgi.input"].read(_READ_BYTES):
            pass


def _finish(response: Response) -> Response:
    # An overloaded server reads on for nobody; nginx answers 503 as well when it loses one
    if response.status_code != 503 and (request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ):
        _read_the_rest()
    response.headers[HEADER] = g.request_id
    # Werkzeug's `setdefault` raises and catches an error for each header that is missing: three times as much work
    stated = {name.lower() for name, _ in response.headers}
    response.headers.extend({name: value for name, value in DEFAULT_HEADERS.items() if name.lower() not in stated})
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
