"""`/openapi.json`, written by hand, and `/docs`, which shows it in Swagger UI without reaching beyond this server."""

from pathlib import Path

from flask import Blueprint, Response, send_from_directory

_HERE = Path(__file__).parent
# Swagger UI draws its icons from data: addresses in its style sheet
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Taken unchanged from swagger-ui-dist 5.35.0: https://github.com/swagger-api/swagger-ui
bp = Blueprint("docs", __name__, static_folder="vendor/swagger-ui", static_url_path="/docs")


@bp.get("/openapi.json")
def description() -> Response:
    return send_from_directory(_HERE, "openapi.json")


@bp.get("/docs")
def page() -> Response:
    response = send_from_directory(_HERE, "docs.html")
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    return response


@bp.get("/docs/start.js")
def start() -> Response:
    return send_from_directory(_HERE, "docs.js")
