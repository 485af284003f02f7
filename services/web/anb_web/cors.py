"""Which pages of other sites may call the API from a browser: none, unless their origins are configured.

Who calls shows a token; cookies play no part, so that an origin that is let in can do nothing in anybody's name.
"""

from collections.abc import Sequence

from flask import Flask, Response, request
from flask_cors import CORS

from anb_web.middleware import HEADER as REQUEST_ID

PREFLIGHT_SECONDS = 3600
_EXPOSED = ("Link", "Location", "Retry-After", REQUEST_ID)


def install(app: Flask, *, origins: Sequence[str]) -> None:
    """Allow requests to the API from these origins, whatever the answer will be."""
    if not origins:
        return
    CORS(
        app,
        resources="/api/*",
        origins=list(origins),
        methods=["GET", "HEAD", "POST", "DELETE"],
        expose_headers=list(_EXPOSED),
        supports_credentials=False,
        max_age=PREFLIGHT_SECONDS,
        always_send=False,
        vary_header=False,
        intercept_exceptions=False,  # each has an answer of ours, which passes here as any other
    )
    app.after_request(_vary)


def _vary(response: Response) -> Response:
    # Also where no origin was sent: what a cache keeps of that must not answer a page of another site
    if request.path.startswith("/api/"):
        response.vary.add("Origin")
    return response
