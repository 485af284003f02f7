import threading
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from anb import accounts
from anb.database import connect
from anb.migrations import configuration, upgrade
from anb.models import Base
from anb.storage import source_key
from tests.leases import lease


def _is_comparable(_object, name, *_):
    return not str(name).startswith("ix_standings_")  # their order descends, which MariaDB does not tell


@pytest.fixture
def empty_schema(database):
    with database.connect() as connection:
        connection.cursor().execute("CREATE DATABASE migrated_together")
        yield database.admin_url.replace("/?", "/migrated_together?")
        connection.cursor().execute("DROP DATABASE migrated_together")


def test_migrations_and_models_agree(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_comparable})

        assert compare_metadata(context, Base.metadata) == []


def test_videos_from_before_keep_their_source_where_it_is(empty_schema):
    engine = connect(empty_schema, pool_size=2)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0002")
        connection.execute(
            text(
                "INSERT INTO users (id, email, first_name, last_name, city, country, password_hash)"
                " VALUES (1, 'a@example.com', 'Ana', 'Gil', 'Cali', 'Colombia', '')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO videos (id, user_id, title, status, request_id, uploaded_at)"
                " VALUES (:id, 1, 'Tiro', 'uploaded', 'before', UTC_TIMESTAMP(6))"
            ),
            {"id": UUID(int=7).hex},
        )

    upgrade(engine)

    with engine.begin() as connection:
        taken = lease(connection, UUID(int=7))
    assert source_key(taken.video_id, taken.source) == f"uploads/{UUID(int=7)}/source.mp4"
    engine.dispose()


def test_accounts_from_before_that_share_a_mailbox_stay_and_are_all_let_in(empty_schema):
    engine = connect(empty_schema, pool_size=2)
    spellings = ["a.na@gmail.com", "ana@gmail.com", "ana+x@gmail.com", "ana@example.com"]
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0004")
        for number, email in enumerate(spellings, start=1):
            connection.execute(
                text(
                    "INSERT INTO users (id, email, first_name, last_name, city, country, password_hash)"
                    " VALUES (:id, :email, 'Ana', 'Gil', 'Cali', 'Colombia', :hash)"
                ),
                {"id": number, "email": email, "hash": accounts.hash_password(f"StrongPass{number}")},
            )

    upgrade(engine)

    def log_in(email, number):
        entered = {"email": email, "password": f"StrongPass{number}"}
        return accounts.authenticate(engine, **entered, client_address="203.0.113.7")

    assert [log_in(email, number) for number, email in enumerate(spellings, start=1)] == [1, 2, 3, 4]
    assert log_in("A.N.A@googlemail.com", 1) == 1
    engine.dispose()


def test_three_instances_that_start_together_migrate_once(empty_schema):
    engines = [connect(empty_schema, pool_size=2) for _ in range(3)]
    failures = []

    def migrate(engine):
        try:
            upgrade(engine)
        except Exception as error:  # noqa: BLE001 the assertion shows it
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=[engine]) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert "videos" in inspect(engines[0]).get_table_names()
    for engine in engines:
        engine.dispose()


def test_connections_speak_utc(engine):
    with engine.connect() as connection:
        difference = connection.scalar(text("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), NOW(6))"))

    assert difference == 0
