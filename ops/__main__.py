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
from ops import dlq, janitor, status, trace, votes
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
@click.pass_context
def ops(context: click.Context) -> None:
    """Look after the running system; the environment is that of the services."""
    context.obj = context.with_resource(Dependencies(os.environ))


for module in (status, trace, janitor, dlq, votes):
    ops.add_command(module.command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    return commands.run(ops, arguments, program="ops", errors=ERRORS)


if __name__ == "__main__":
    sys.exit(main())
