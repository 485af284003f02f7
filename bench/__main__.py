"""`python -m bench QUESTION` measures, and writes what it finds into the documentation."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import click
import requests

from anb import commands
from bench import abuse, api_cost, report, slow_clients, throughput, worker_cost
from bench.report import CannotMeasure, Report
from demo.client import UnexpectedAnswer
from local.errors import CannotRun

QUESTIONS: dict[str, Callable[..., Report]] = {
    "abuse": abuse.measure,
    "api-cost": api_cost.measure,
    "slow-clients": slow_clients.measure,
    "throughput": throughput.measure,
    "worker-cost": worker_cost.measure,
}
ERRORS = dict.fromkeys(
    (CannotMeasure, CannotRun, UnexpectedAnswer, requests.RequestException, subprocess.SubprocessError),
    commands.MISSING,
)


@click.command()
@click.argument("question", metavar="QUESTION", type=click.Choice(list(QUESTIONS)))
@click.option("--quick", is_flag=True, help="Only see whether it works; the documentation stays as it is.")
@commands.json_option
def bench(question: str, quick: bool, as_json: bool) -> int:
    """Measure, and write the answer to QUESTION into the documentation.

    QUESTION is abuse, api-cost, slow-clients, throughput or worker-cost. The exit code is 1 when a limit was missed.
    """
    found = QUESTIONS[question](quick=quick)
    text = found.to_markdown(question)
    click.echo(found.to_json(question) if as_json else text)
    if not quick:
        report.publish(question, text)
    return commands.FAILED if found.missed else commands.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a measurement and return its exit code; say in one line why it could not be done."""
    return commands.run(bench, arguments, program="bench", errors=ERRORS)


if __name__ == "__main__":
    sys.exit(main())
