"""`python -m anb migrate` brings the database's schema to the newest version."""

import os
import sys

import click
from sqlalchemy.exc import DBAPIError

from anb import commands, logs
from anb.database import connect
from anb.migrations import MigrationsLocked, upgrade
from anb.settings import Settings, SettingsError

MIGRATION_SECONDS = 900  # one statement on the largest table may take minutes
LOCKED_SECONDS = 8 * 3600  # the connection that holds the lock says nothing while all of them run
ERRORS = {SettingsError: commands.MISSING, MigrationsLocked: commands.FAILED, DBAPIError: commands.MISSING}


@click.group()
def anb() -> None:
    """Look after the database of web and workers."""


@anb.command()
def migrate() -> None:
    """Bring the schema to the newest version."""
    logs.configure(service="migrations")
    url = Settings.from_environment(os.environ).database_url
    upgrade(connect(url, pool_size=2, timeout_seconds=MIGRATION_SECONDS, idle_seconds=LOCKED_SECONDS))


if __name__ == "__main__":
    sys.exit(commands.run(anb, program="anb", errors=ERRORS))
