"""Responses that are the same for everybody are kept for a second."""

from collections.abc import Callable
from functools import wraps
from threading import Condition
from typing import ParamSpec

from cachetools import TTLCache, cached
from flask import Response, current_app, request

CACHED_SECONDS = 1
Arguments = ParamSpec("Arguments")
_MAX_CACHED_RESPONSES = 256  # some 10 MB at most: one response lists 100 videos

View = Callable[Arguments, Response]


def cached_response(view: View[Arguments]) -> View[Arguments]:
    """Give the same request the same response for a second; of many at once, one computes it for all.

    Browsers and caches on the way may keep it for as long as we do.
    """

    @cached(TTLCache(maxsize=_MAX_CACHED_RESPONSES, ttl=CACHED_SECONDS), key=_key, condition=Condition())
    def computed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> tuple[bytes, list[tuple[str, str]]]:
        response = view(*args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={CACHED_SECONDS}"
        return response.get_data(), list(response.headers)

    @wraps(view)
    def respond(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Response:
        body, headers = computed(*args, **kwargs)
        return Response(body, headers=headers)

    return respond


def _key(*_: object, **__: object) -> tuple[object, ...]:
    # The host and scheme too: pages tell their own address
    return current_app._get_current_object(), request.host_url, request.full_path  # type: ignore[attr-defined] # noqa: SLF001 https://flask.palletsprojects.com/en/stable/reqcontext/#notes-on-proxies
