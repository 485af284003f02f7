"""Answers that are the same for everybody are remembered for a moment."""

from collections.abc import Callable
from functools import wraps
from threading import Condition

from cachetools import TTLCache, cached
from flask import Response, current_app, request

REMEMBERED_SECONDS = 1
_REMEMBERED_ANSWERS = 256  # some 10 MB at most: one answer lists 100 videos

View = Callable[[], Response]


def remembered(view: View) -> View:
    """Answer the same request within a second as before; of many at once, one computes the answer for all.

    Browsers and caches on the way may keep the answer for as long as we do.
    """

    @cached(TTLCache(maxsize=_REMEMBERED_ANSWERS, ttl=REMEMBERED_SECONDS), key=_key, condition=Condition())
    def content() -> tuple[bytes, list[tuple[str, str]]]:
        response = view()
        response.headers["Cache-Control"] = f"public, max-age={REMEMBERED_SECONDS}"
        return response.get_data(), list(response.headers)

    @wraps(view)
    def answer() -> Response:
        body, headers = content()
        return Response(body, headers=headers)

    return answer


def _key() -> tuple[object, ...]:
    return current_app._get_current_object(), request.full_path  # type: ignore[attr-defined] # noqa: SLF001 how Flask names the application behind its proxy
