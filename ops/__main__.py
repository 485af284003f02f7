"""`python -m ops COMMAND` looks after the running system; its environment is that of the services."""

import os
import sys
from collections.abc import Sequence

import click
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb import commands
from anb.jobs import SendFailed
from anb.settings import SettingsError
from anb.timings import Timings
from ops import cost, dlq, janitor, status, trace, votes
from ops.dependencies import CommandFailed, Dependencies

ERRORS = {
    CommandFailed: commands.FAILED,
    SettingsError: commands.MISSING,
    DBAPIError: commands.MISSING,
    PoolTimeout: commands.MISSING,
    BotoCoreError: commands.MISSING,
    ClientError: commands.MISSING,
    SendFailed: commands.MISSING,
    OSError: commands.MISSING,
}


@click.group()
def ops() -> None:
    """Look after the running system; the environment is that of the services."""


for module in (status, trace, janitor, dlq, votes, cost):
    ops.add_command(module.command)


def main(arguments: Sequence[str] | None = None, timings: Timings = Timings()) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    with Dependencies(os.environ, timings) as dependencies:
        return commands.run(ops, arguments, program="ops", errors=ERRORS, dependencies=dependencies)


if __name__ == "__main__":
    sys.exit(main())
