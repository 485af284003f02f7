"""How we talk to the database: MySQL 8.4 on AWS, MariaDB 10.11+ on one machine."""

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

DUPLICATE_KEY = 1062  # https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
FOREIGN_KEY_FAILS = 1452

Sessions = sessionmaker[Session]


def connect(url: str, *, pool_size: int, timeout_seconds: int = 10) -> Engine:
    """Return an engine whose every wait has an end: nothing that leaves the process may hang.

    At most `pool_size` connections are open; whoever needs one more waits 2 s for it. An answer that takes
    longer than `timeout_seconds` breaks its connection.
    """
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        pool_pre_ping=True,
        pool_recycle=1800,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": 3,
            "read_timeout": timeout_seconds,
            "write_timeout": timeout_seconds,
        },
    )
    event.listen(engine, "connect", _keep_to_utc)
    return engine


def sessions(engine: Engine) -> Sessions:
    """Return the factory of short sessions: one per transaction."""
    return sessionmaker(engine, expire_on_commit=False)


def _keep_to_utc(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET time_zone = '+00:00'")
    cursor.close()
