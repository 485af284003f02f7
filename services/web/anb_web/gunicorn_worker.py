"""gunicorn's worker, but for what it refuses by itself: that has the API's shape too."""

import json
import logging
import socket
from contextlib import suppress

from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

# What the application itself would have sent
_OURS = errors.InvalidResponseHeader | errors.InvalidResponseHeaderName

log = logging.getLogger(__name__)


class Worker(ThreadWorker):  # type: ignore[misc] # without types
    """Answers in JSON where gunicorn answers with a page."""

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: BaseException) -> None:
        """Tell the client; nginx refuses most of it before it comes here."""
        del req, addr
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OURS):
            status, code, text = "400 Bad Request", "invalid", "La petición no es válida."
            log.warning("refused", extra={"error": type(exc).__name__})
        else:
            status, code, text = "500 Internal Server Error", "internal", "Ocurrió un error inesperado."
            log.error("unexpected error", exc_info=exc)
        body = json.dumps({"error": code, "message": text, "detail": text}, ensure_ascii=False).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        with suppress(OSError):  # it has gone meanwhile
            client.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
