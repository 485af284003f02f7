"""How we talk to the database: MySQL 8.4 on AWS, MariaDB 10.11+ on one machine."""

import logging
import time
import traceback
from typing import Any

import pymysql
from pymysql.constants import CR
from pymysql.cursors import Cursor
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, PoolProxiedConnection

from anb.timings import Timings

# Of idling; a connection that died since its last use is replaced unnoticed. Shorter than any server restarts:
# an empty MariaDB, the quickest that was seen, needs 0.12 s
PING_AFTER_SECONDS = 0.1
SLOW_SECONDS = 1
_RETURNED = "returned"

log = logging.getLogger(__name__)


class DuplicateKey(IntegrityError):
    """The row that a statement would write has a key that another row has."""


class Deadlock(OperationalError):
    """Others had locked what a statement needs; the transaction is worth another try."""


# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
_KINDS: dict[int, type[DBAPIError]] = {
    1062: DuplicateKey,
    1205: Deadlock,  # waited too long for a lock
    1213: Deadlock,
}


class _TimedCursor(Cursor):
    """Logs whose statement took long. Never the statement: what it holds is people's."""

    # Here and not in the engine's events, which make every statement dearer
    def execute(self, query: str, args: Any = None) -> int:
        started = time.monotonic()
        rows = super().execute(query, args)
        seconds = time.monotonic() - started
        if seconds >= SLOW_SECONDS:
            log.warning("slow statement", extra={"ms": round(seconds * 1000), "function": _caller()})
        return rows


def connect(
    url: str, *, pool_size: int, timeout_seconds: int = 10, idle_seconds: int = Timings().database_idle_seconds
) -> Engine:
    """Return an engine whose every wait has an end: nothing that leaves the process may hang.

    At most `pool_size` connections are open; whoever needs one more waits 2 s for it. An answer that takes
    longer than `timeout_seconds` breaks its connection, and so does the server after `idle_seconds` of silence.
    """

    def agree(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET time_zone = '+00:00', wait_timeout = {idle_seconds}")
        cursor.close()

    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=0,
        # Connections end their transactions themselves; the pool's ROLLBACK after each is one more
        # round trip for every request
        pool_reset_on_return=None,
        pool_timeout=2,
        pool_recycle=1800,
        hide_parameters=True,  # of statements, in the text of errors: they are people's
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": 3,
            "read_timeout": timeout_seconds,
            "write_timeout": timeout_seconds,
            "cursorclass": _TimedCursor,
        },
    )
    event.listen(engine, "connect", agree)
    event.listen(engine, "handle_error", _named)
    event.listen(engine, "checkin", _note_return)
    event.listen(engine, "checkout", _ping_after_idling)
    return engine


def away() -> Engine:
    """Return the engine of a database whose credentials nobody has yet: to its users it is one that is away."""

    def refuse() -> DBAPIConnection:
        raise pymysql.OperationalError(CR.CR_CONN_HOST_ERROR, "there are no credentials for the database yet")

    return create_engine("mysql+pymysql://", creator=refuse, poolclass=NullPool)


def _named(context: ExceptionContext) -> DBAPIError | None:
    """Give what the database complains of its name; the statement alone is undone, unless it is a deadlock."""
    error = context.original_exception
    kind = _KINDS.get(error.args[0]) if isinstance(error, pymysql.Error) and error.args else None
    return kind(context.statement, context.parameters, error, hide_parameters=True) if kind else None


def _caller() -> str:
    """Return the function of ours that executes the statement."""
    for frame, _ in traceback.walk_stack(None):
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("anb") and module != __name__:
            return f"{module}.{frame.f_code.co_name}"
    return ""


def _note_return(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info[_RETURNED] = time.monotonic()


def _ping_after_idling(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
    # The pool's own pre-ping asks at each use, which costs a busy process a tenth of its requests
    if time.monotonic() - record.info.get(_RETURNED, time.monotonic()) < PING_AFTER_SECONDS:
        return
    try:
        connection.ping(reconnect=False)
    except pymysql.Error as error:
        raise DisconnectionError from error  # the pool connects anew
