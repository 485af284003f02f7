from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb.database import connect


@pytest.fixture
def one_connection(database_url):
    engine = connect(database_url, pool_size=1)
    yield engine
    engine.dispose()


def test_a_connection_that_died_while_it_idled_is_replaced_unnoticed(one_connection, database, monkeypatch):
    with one_connection.connect() as connection:
        number = connection.scalar(text("SELECT CONNECTION_ID()"))
    with database.connect() as admin:
        admin.cursor().execute(f"KILL {number}")
    monkeypatch.setattr("anb.database.PING_AFTER_SECONDS", 0)

    with one_connection.connect() as connection:
        assert connection.scalar(text("SELECT CONNECTION_ID()")) != number


def test_whoever_finds_all_connections_busy_waits_two_seconds(one_connection):

    with one_connection.connect(), pytest.raises(PoolTimeout, match=r"timeout 2\.0"):
        one_connection.connect()


def commit(connection):
    connection.commit()


def roll_back(connection):
    connection.rollback()


def leave(_):
    pass


def fail(connection):
    with pytest.raises(ProgrammingError):
        connection.execute(text("SELECT nothing FROM nowhere"))


@pytest.mark.parametrize("end", [commit, roll_back, leave, fail])
def test_a_connection_comes_back_without_a_transaction(one_connection, end):
    with one_connection.connect() as connection:
        connection.execute(text("SELECT 1 FROM information_schema.innodb_trx"))
        end(connection)

    with closing(one_connection.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT @@in_transaction")
        assert cursor.fetchone() == (0,)
