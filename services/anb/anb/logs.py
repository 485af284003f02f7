"""One JSON object per line on standard output, with the ids that tie the lines of one request together."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_bound: ContextVar[dict[str, Any] | None] = ContextVar("bound", default=None)


def configure(*, service: str) -> None:
    """Send every log record of this process to standard output as a line of JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
        )
    )
    handler.addFilter(_add_bound)
    # What no line shows is not looked up: https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None  # noqa: SLF001 as that page says
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells at each start where it found credentials


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
