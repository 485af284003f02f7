"""One JSON object per line on standard output, with the ids that tie the lines of one request together.

No line holds anything of a person. Errors quote what they fail at, such as the e-mail of a duplicate row, so that
of them a line tells the kind, the place and the code, and only of ours the message.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TextIO

from botocore.exceptions import ClientError
from pythonjsonlogger.json import JsonFormatter
from sqlalchemy.exc import DBAPIError

_bound: ContextVar[dict[str, Any] | None] = ContextVar("bound", default=None)


def configure(*, service: str) -> None:
    """Send every log record of this process to standard output as a line of JSON.

    An exception may be a value in `extra`.
    """
    logging.basicConfig(level=logging.INFO, handlers=[handler(service=service, stream=sys.stdout)], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells at each start where it found credentials


def handler(*, service: str, stream: TextIO) -> logging.Handler:
    """Return what writes the lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _Formatter(
            "{levelname}{name}{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
            json_default=_as_json,
        )
    )
    handler.addFilter(_add_bound)
    return handler


class _Formatter(JsonFormatter):
    def formatException(  # noqa: N802 as logging calls it
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        return "" if ei[1] is None else "\n".join(_trace(ei[1]))


def _trace(error: BaseException) -> list[str]:
    """Return where an error and those before it arose, without what they say."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = _trace(earlier) if earlier else []
    return [*lines, "".join(traceback.format_tb(error.__traceback__)) + _described(error)]


def _described(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, DBAPIError) and error.orig is not None and error.orig.args:
        return f"{kind}: {error.orig.args[0]}"  # https://dev.mysql.com/doc/mysql-errors/8.4/en/
    if isinstance(error, ClientError):
        return f"{kind}: {error.response.get('Error', {}).get('Code', '?')} to {error.operation_name}"
    if isinstance(error, OSError) and error.strerror:
        return f"{kind}: {error.strerror}"
    is_ours = type(error).__module__.partition(".")[0] in {"anb", "anb_web", "anb_worker"}
    return f"{kind}: {error}" if is_ours else kind


def _as_json(value: object) -> str:
    return _described(value) if isinstance(value, BaseException) else str(value)


@contextmanager
def bound(**values: object) -> Iterator[None]:
    """Add the values to every line that this context logs."""
    token = _bound.set({**(_bound.get() or {}), **values})
    try:
        yield
    finally:
        _bound.reset(token)


def _add_bound(record: logging.LogRecord) -> bool:
    record.__dict__.update(_bound.get() or {})
    return True
