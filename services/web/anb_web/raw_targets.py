"""Request targets that are not ASCII, such as `?city=Bogotá` as many clients send it.

gunicorn refuses them, so nginx sends it another target and the real one in a header: see nginx.conf.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADER = "HTTP_X_RAW_TARGET"
# All that is ASCII stays as it was sent
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class RawTargets:
    """Lets the application see such a target as if it had been percent-encoded."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Pass the request on."""
        if target := environ.pop(_HEADER, ""):
            path, _, query = target.encode("latin-1").partition(b"?")
            environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
            environ["QUERY_STRING"] = quote(query, safe=_ASCII)
        return self._app(environ, start_response)
