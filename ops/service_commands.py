"""The commands that need database, store and queue: they run beside those, here or on an instance."""

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb import commands
from anb.jobs import SendFailed
from anb.settings import SettingsError
from ops import dlq, forget, janitor, reset_password, retry, status, takedown, trace, votes
from ops.dependencies import CommandFailed

COMMANDS = tuple(it.command for it in (status, trace, dlq, janitor, votes, retry, takedown, forget, reset_password))
ERRORS: dict[type[Exception], int] = {
    CommandFailed: commands.FAILED,
    SettingsError: commands.MISSING,
    DBAPIError: commands.MISSING,
    PoolTimeout: commands.MISSING,
    BotoCoreError: commands.MISSING,
    ClientError: commands.MISSING,
    SendFailed: commands.MISSING,
    OSError: commands.MISSING,
}
