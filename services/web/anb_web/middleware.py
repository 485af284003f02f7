"""What every request goes through: its id, its response headers and the reading of its body."""

import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest, NotFound

from anb.errors import Invalid, Refusal

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-Id"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_REQUEST_ID = "anb.request_id"
_MAX_JSON_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_BY_LOWER_NAME = {name.lower(): (name, value) for name, value in DEFAULT_HEADERS.items()}


class IdsAndHeaders:
    """Gives every request an id, which its response repeats, and every response the default headers.

    nginx, which makes most of the ids, logs each request. What the view left of a request's body is read.
    """

    # Around the application: the same in Flask's hooks takes several times as long
    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on."""
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        environ[_REQUEST_ID] = sent if _ACCEPTED_ID.fullmatch(sent) else str(uuid.uuid4())

        def start(status: str, headers: list[tuple[str, str]], raised: "OptExcInfo | None" = None, /) -> Any:
            # An overloaded server reads on for nobody; nginx answers 503 as well when it loses one
            if not status.startswith("503"):
                _read_the_rest(environ)
            return start_response(status, _completed(headers, environ), raised)

        return self._app(environ, start)


def install(app: Flask) -> None:
    """Answer addresses that begin with two slashes as what they are: names of nothing."""
    app.before_request(_refuse_two_slashes)


def request_id() -> str:
    """Return the current request's id."""
    return str(request.environ[_REQUEST_ID])


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


def _refuse_two_slashes() -> None:
    # Werkzeug would take them for one; those within a path name nothing anyway
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound


def _read_the_rest(environ: "WSGIEnvironment") -> None:
    """Read what the view left of the body.

    gunicorn closes a connection on which more than 64 KiB are left, and nginx, still sending, loses the answer:
    one in four large uploads without a token got a 503 instead of its 401.
    """
    if environ.get("CONTENT_LENGTH", "0") in {"", "0"} and "HTTP_TRANSFER_ENCODING" not in environ:
        return
    with suppress(OSError, Refusal):  # the client has gone, or is too slow for anybody to wait for
        while environ["wsgi.input"].read(_READ_BYTES):
            pass


def _completed(headers: list[tuple[str, str]], environ: "WSGIEnvironment") -> list[tuple[str, str]]:
    stated = {name.lower() for name, _ in headers}
    completed = [*headers, *(default for name, default in _BY_LOWER_NAME.items() if name not in stated)]
    completed.append((HEADER, environ[_REQUEST_ID]))
    if environ["wsgi.url_scheme"] == "https":
        completed.append(("Strict-Transport-Security", "max-age=31536000"))
    return completed
