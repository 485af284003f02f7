"""`python -m bench QUESTION` measures, and writes what it finds into the documentation."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import requests

from anb import commands
from bench import abuse, api_cost, quality, report, scaling, slow_clients, throughput, worker_cost
from bench.report import CannotMeasure, Report
from demo.client import UnexpectedAnswer
from local.errors import CannotRun

QUESTIONS: dict[str, Callable[..., Report]] = {
    "abuse": abuse.measure,
    "api-cost": api_cost.measure,
    "quality": quality.measure,
    "scaling": scaling.measure,
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
@click.argument("footage", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="Only see whether it works; the documentation stays as it is.")
@commands.json_option
def bench(question: str, footage: Path | None, quick: bool, as_json: bool) -> int:
    """Measure, and write the answer to QUESTION into the documentation.

    QUESTION is abuse, api-cost, quality, scaling, slow-clients, throughput or worker-cost; FOOTAGE a folder of clips
    that quality is measured on instead of drawn ones. The exit code is 1 when a limit was missed.
    """
    if footage and question != "quality":
        raise click.UsageError("Only quality is measured on a folder of clips.")
    found = QUESTIONS[question](quick=quick, **({"footage": footage} if footage else {}))
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
