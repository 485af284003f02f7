"""`python -m ops COMMAND` looks after the running system; its environment is that of the services.

Exit codes: 0 done; 1 a part is away or refused, or there is no such thing; 2 wrong call or settings;
3 done, and something is left that a person should look at, as the output says; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb.jobs import SendFailed
from anb.settings import Settings, SettingsError
from ops import dlq, janitor, status, trace, votes
from ops.dependencies import CommandFailed, Dependencies


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m ops", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (status, trace, janitor, dlq, votes):
        name = module.__name__.rpartition(".")[2]
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    chosen = parser.parse_args(arguments)
    try:
        with Dependencies(Settings.from_environment(os.environ)) as dependencies:
            code: int = chosen.run(chosen, dependencies)
    except SettingsError as error:
        return _report(error, code=2)
    except DBAPIError as error:
        return _report(f"the database does not do it: {error.orig}", code=1)
    except (BotoCoreError, ClientError, PoolTimeout, SendFailed, CommandFailed, OSError) as error:
        return _report(error, code=1)
    except KeyboardInterrupt:
        return 130
    return code


def _report(reason: object, *, code: int) -> int:
    print(f"ops: {' '.join(str(reason).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
