"""`/api/.nginx/token`: nginx asks here, before it takes an upload's body, whether the token is valid.

https://nginx.org/en/docs/http/ngx_http_auth_request_module.html. nginx lets nobody else in.
"""

import json

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from anb_web.tokens import signed_in

bp = Blueprint("auth_request", __name__)


@bp.get("/api/.nginx/token")
@signed_in
def check() -> ResponseReturnValue:
    return "", 204


@bp.after_request
def _repeat_refusal_in_a_header(response: Response) -> Response:
    """nginx hears the answer's status and headers, not its body, which it is to pass on."""
    if response.status_code == 401:
        response.headers["X-Refusal"] = json.dumps(response.get_json())
    return response
