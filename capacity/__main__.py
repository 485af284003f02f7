"""`python -m capacity COMMAND` measures what the system takes, and holds the documents to what was measured."""

import sys
from collections.abc import Sequence

import click

from anb import commands
from capacity import report
from capacity.report import Scenario, UnknownKey
from local.errors import CannotRun

SCENARIOS: tuple[Scenario, ...] = ()
"""What the documents tell, in their order."""
GIVEN: dict[str, report.Summary] = {}
"""What was decided and not measured, by the names under which the documents ask for it."""
ERRORS = dict.fromkeys((CannotRun, UnknownKey), commands.MISSING)


@click.group()
def capacity() -> None:
    """Measure what the system takes, and hold the documents to it."""


@capacity.command("report")
@click.option("--write", is_flag=True, help="Make results, figures, tables and values of the documents again.")
def report_command(write: bool) -> int:
    """Say what the documents state and the data do not; the exit code is 1 where there is something."""
    problems = (report.write if write else report.check)(SCENARIOS, GIVEN)
    for problem in problems:
        click.echo(problem, err=True)
    click.echo(f"{len(problems)} problems" if problems else "the documents say what the data say")
    return commands.FAILED if problems else commands.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    return commands.run(capacity, arguments, program="capacity", errors=ERRORS)


if __name__ == "__main__":
    sys.exit(main())
