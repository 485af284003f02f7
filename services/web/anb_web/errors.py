"""One place turns every error into a status and the one shape that clients read."""

import logging
from collections.abc import Mapping

from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, jsonify
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from anb import errors
from anb.database import Deadlock
from anb.jobs import SendFailed
from anb.storage import ObjectChanged, ObjectMissing
from anb_web.middleware import request_id

_STATUS: Mapping[type[errors.Refusal], int] = {
    errors.Invalid: 400,
    errors.Conflict: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Gone: 410,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}
# What the framework refuses by itself; anything else that it calls the client's fault is a 400
_FRAMEWORK: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "No encontrado."),
    405: ("method_not_allowed", "Método no permitido."),
}

log = logging.getLogger(__name__)


def answer(refusal: errors.Refusal) -> Response:
    """Return the response that tells a client why it was refused."""
    status = next(_STATUS[kind] for kind in type(refusal).__mro__ if kind in _STATUS)
    response = shaped(status, refusal.code, refusal.message, fields=refusal.fields)
    if isinstance(refusal, errors.TooManyRequests | errors.Unavailable):
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def shaped(status: int, code: str, message: str, *, fields: Mapping[str, str] | None = None) -> Response:
    """Return an error in the shape that all errors have."""
    body: dict[str, object] = {"error": code, "message": message, "detail": message}
    if fields:
        body["fields"] = fields
    response = jsonify(body)
    response.status_code = status
    return response


def install(app: Flask) -> None:
    """Answer every error in the one shape."""
    app.register_error_handler(errors.Refusal, answer)
    app.register_error_handler(HTTPException, _of_framework)
    for away in (DBAPIError, PoolTimeout, BotoCoreError, ClientError, SendFailed, ObjectMissing, ObjectChanged):
        app.register_error_handler(away, _of_unavailable_dependency)
    app.register_error_handler(Exception, _of_bug)


def _of_framework(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _of_bug(error)
    if isinstance(error, RequestEntityTooLarge):
        text = "La petición supera el tamaño máximo; un video puede tener hasta 100 MB."
        return shaped(400, "invalid", text)
    code, text = _FRAMEWORK.get(status, ("invalid", "La petición no es válida."))
    response = shaped(status if status in _FRAMEWORK else 400, code, text)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _of_unavailable_dependency(error: Exception) -> Response:
    what = "deadlock" if isinstance(error, Deadlock) else "a part is away"
    log.warning(what, extra={"error": error, "request_id": request_id()})
    return answer(errors.Unavailable("El servicio no está disponible por el momento. Inténtalo de nuevo."))


def _of_bug(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"request_id": request_id()})
    return shaped(500, "internal", "Ocurrió un error inesperado.")
