"""`python -m anb migrate` brings the database's schema to the newest version."""

import argparse
import os
import sys

from sqlalchemy.exc import DBAPIError

from anb import logs
from anb.database import connect
from anb.migrations import MigrationsLocked, upgrade
from anb.settings import Settings, SettingsError

MIGRATION_SECONDS = 900  # one statement on the largest table may take minutes
LOCKED_SECONDS = 8 * 3600  # the connection that holds the lock says nothing while all of them run


def main() -> int:
    """Run the command; say in one line why it could not."""
    parser = argparse.ArgumentParser(prog="python -m anb")
    parser.add_subparsers(required=True).add_parser("migrate", help="bring the schema to the newest version")
    parser.parse_args()
    logs.configure(service="migrations")
    try:
        url = Settings.from_environment(os.environ).database_url
        upgrade(connect(url, pool_size=2, timeout_seconds=MIGRATION_SECONDS, idle_seconds=LOCKED_SECONDS))
    except (SettingsError, MigrationsLocked, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        print(f"anb: {reason}", file=sys.stderr)  # noqa: T201 a command's answer to whoever ran it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
