"""The schema's history, applied by `python -m anb migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

LOCK_WAIT_SECONDS = 60


class MigrationsLocked(Exception):
    """Another process has been migrating for longer than we wait."""


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest version.

    A database lock lets one of several starting instances migrate while the others wait for it.
    Raises MigrationsLocked after 60 s of waiting.
    """
    with engine.connect() as lock:
        # The lock's connection stays idle while another one migrates: DDL commits implicitly, locks survive that
        if lock.scalar(text("SELECT GET_LOCK('anb_migrations', :seconds)"), {"seconds": LOCK_WAIT_SECONDS}) != 1:
            raise MigrationsLocked(f"another process has held the migration lock for {LOCK_WAIT_SECONDS} s")
        try:
            with engine.begin() as connection:
                command.upgrade(configuration(connection), "head")
        finally:
            lock.execute(text("DO RELEASE_LOCK('anb_migrations')"))


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection that is already open."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
