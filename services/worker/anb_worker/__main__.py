"""`python -m anb_worker run` works off the queue; `process` does the same to a file, without AWS or database."""

import sys
from collections.abc import Sequence

import click

from anb import commands
from anb_worker import process_file


@click.group()
def worker() -> None:
    """Turn uploaded videos into branded clips."""


@worker.command()
def run() -> int:
    """Work off the queue until SIGTERM."""
    from anb_worker.service import run as run_service  # noqa: PLC0415 loading AWS and the database costs `process` a second

    return run_service()


worker.add_command(process_file.command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    return commands.run(worker, arguments, program="anb_worker", errors={process_file.NotProcessed: commands.FAILED})


if __name__ == "__main__":
    sys.exit(main())
