"""`python -m capacity COMMAND` measures what the system takes, and holds the documents to what was measured."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from anb import commands
from bench.report import CannotMeasure
from capacity import growth, report, web, web_fleets, web_plan, worker
from capacity.cost_results import COST
from capacity.growth_results import GROWTH
from capacity.report import Scenario, UnknownKey
from capacity.target import Refused, check
from capacity.web_fleets import FLEETS
from capacity.web_plan import FORMS
from capacity.web_results import WEB
from capacity.worker_report import WORKER
from local.errors import CannotRun

SCENARIOS: tuple[Scenario, ...] = (WEB, FLEETS, WORKER, GROWTH, COST)
"""What the documents tell, in their order."""
GIVEN: dict[str, report.Summary] = {"plan": web_plan.given()}
"""What was decided and not measured, by the names under which the documents ask for it."""
ERRORS = dict.fromkeys((CannotMeasure, CannotRun, UnknownKey), commands.MISSING) | {Refused: commands.WRONG_USE}


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


@capacity.command("web")
@click.option("--form", type=click.Choice(list(FORMS)), default="full", help="How long the stages are.")
@click.option("--output", type=click.Path(path_type=Path), help="Raw data; the documents', or apart for a target.")
@click.option("--target", default="", help="A system that runs already, instead of one of this run's own.")
@click.option("--own-host", default="", help="The target's host once more, where it is not this machine.")
def web_command(form: str, output: Path | None, target: str, own_host: str) -> None:
    """Measure the web layer, scenario 1; what was measured before an interruption is not measured again."""
    if target:
        check(target, confirmed_host=own_host, users=1)
    folder = output or (web.BUILD / "target" if target else report.Folder().raw("web"))
    web.measure(form, folder, target=web.Target(url=target, own_host=own_host) if target else None)
    click.echo(WEB.tables(WEB.summarise(folder))["summary"])


@capacity.command("fleets")
def fleets_command() -> None:
    """Simulate fleets of web servers with what was measured of one machine; `make synth` writes their templates."""
    web_fleets.simulate(WEB.summarise(report.Folder().raw("web")), report.Folder())


@capacity.command("clip")
@click.argument("megabytes", type=click.Choice([str(size) for size in web.VIDEOS]))
def clip_command(megabytes: str) -> None:
    """Make the video of so many megabytes, where it is not made yet, and say where it is."""
    click.echo(web.VIDEOS[int(megabytes)].file())


capacity.add_command(worker.command)
capacity.add_command(growth.command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; say in one line why it could not be done."""
    return commands.run(capacity, arguments, program="capacity", errors=ERRORS)


if __name__ == "__main__":
    sys.exit(main())
