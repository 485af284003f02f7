"""How we talk to the database: MySQL 8.4 on AWS, MariaDB 10.11+ on one machine."""

import time

import pymysql
from sqlalchemy import ClauseElement, Engine, create_engine, event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from anb.timings import Timings

DUPLICATE_KEY = 1062  # https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html

PING_AFTER_SECONDS = 1  # of idling; a connection that died since its last use is replaced unnoticed
_RETURNED = "returned"

Sessions = sessionmaker[Session]


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
        # Sessions and connections end their transactions themselves; the pool's ROLLBACK after each is one more
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
        },
    )
    event.listen(engine, "connect", agree)
    event.listen(engine, "checkin", _note_return)
    event.listen(engine, "checkout", _ping_after_idling)
    return engine


def sessions(engine: Engine) -> Sessions:
    """Return the factory of short sessions: one per transaction.

    What requests wait for most takes a connection of the engine instead: a session takes as long as a statement.
    """
    return sessionmaker(engine, expire_on_commit=False)


def driver_sql(statement: ClauseElement) -> str:
    """Return the statement's SQL for `exec_driver_sql`, for what is asked most.

    SQLAlchemy works about as long for each execution of a statement as the driver does. The parameters are the
    driver's own: a UUID is its `hex`.
    """
    return str(statement.compile(dialect=mysql.dialect(paramstyle="pyformat")))


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
