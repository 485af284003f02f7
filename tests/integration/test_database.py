import io
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb import accounts, logs
from anb.database import Deadlock, DuplicateKey, connect
from anb.errors import Unauthenticated


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


@pytest.fixture
def logged():
    stream = io.StringIO()
    handler = logs.handler(service="test", stream=stream)
    logging.getLogger("anb").addHandler(handler)
    yield stream
    logging.getLogger("anb").removeHandler(handler)


def test_a_slow_statement_is_logged_by_whose_it_is_without_what_it_says(engine, logged, monkeypatch):
    monkeypatch.setattr("anb.database.SLOW_SECONDS", 0)
    with pytest.raises(Unauthenticated):
        accounts.authenticate(engine, email="ana@example.com", password="secret-word", client_address="192.0.2.7")

    lines = [line for line in logged.getvalue().splitlines() if '"slow statement"' in line]
    assert any('"function": "anb.accounts.authenticate"' in line and '"ms": ' in line for line in lines)
    assert not [word for word in ("ana@", "secret-word", "192.0.2", "SELECT", "users") if word in "".join(lines)]


def test_a_quick_statement_is_not_logged(engine, logged):
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))

    assert logged.getvalue() == ""


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


@pytest.fixture
def pair(database_url):
    """Two connections that may wait for each other, and a table with two rows and one that refers to it."""
    engine = connect(database_url, pool_size=3)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE parents (id INT PRIMARY KEY, touched INT DEFAULT 0)"))
        connection.execute(text("CREATE TABLE children (parent INT REFERENCES parents (id))"))
        connection.execute(text("INSERT INTO parents (id) VALUES (1), (2)"))
    with engine.connect() as one, engine.connect() as other:
        yield one, other
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE children, parents"))
    engine.dispose()


def touch(connection, id_):
    connection.execute(text("UPDATE parents SET touched = touched + 1 WHERE id = :id"), {"id": id_})


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("INSERT INTO parents (id) VALUES (1)", DuplicateKey),
        ("INSERT INTO children VALUES (3)", IntegrityError),
        ("INSERT INTO parents (id) VALUES (NULL)", IntegrityError),
    ],
)
def test_what_the_database_complains_of_has_a_name(pair, statement, name):
    with pytest.raises(name) as raised:
        pair[0].execute(text(statement))

    assert type(raised.value) is name


def test_of_two_that_wait_for_each_other_one_is_told_so(pair):
    one, other = pair
    touch(one, 1)
    touch(other, 2)

    # Whom the database chooses is its affair; the other goes on
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(touch, one, 2), threads.submit(touch, other, 1)]
        errors = [each.exception() for each in waiting]
    one.rollback()
    other.rollback()

    assert {type(error) for error in errors} == {Deadlock, type(None)}
