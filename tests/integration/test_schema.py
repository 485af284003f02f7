import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from anb.database import connect
from anb.migrations import upgrade
from anb.models import Base


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


def test_sessions_speak_utc(engine):
    with engine.connect() as connection:
        difference = connection.scalar(text("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), NOW(6))"))

    assert difference == 0
