"""Plays the scenarios and writes what they showed: `python -m tests.faults --help`."""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click

from anb import commands
from local import applications
from local.console import say
from local.errors import CannotRun
from tests.faults import mutations, report
from tests.faults.catalogue import TENTH, TRUE, Scenario
from tests.faults.oracle import Verdict
from tests.faults.stage import Row, Stage, stage


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--mutations", "is_of_mutations", is_flag=True, help="Break the code instead: a scenario has to fail.")
@click.option("--list", "is_list", is_flag=True, help="Only tell the names.")
def faults(names: tuple[str, ...], is_of_mutations: bool, is_list: bool) -> int:
    """Play all scenarios, or those whose names begin with one of the NAMEs, and write what they showed.

    The exit code is 1 when an invariant was broken, and with --mutations, when a broken one went unnoticed.
    """
    known = [each.name for each in (mutations.MUTATIONS if is_of_mutations else TENTH + TRUE)]
    if unknown := [name for name in names if not any(each.startswith(name) for each in known)]:
        raise click.UsageError(f"Nothing has a name that begins with {unknown[0]!r}; --list tells the names.")
    if is_list:
        say("\n".join(known))
        return commands.DONE
    return mutations.play(names) if is_of_mutations else _play_chosen(names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says and return its exit code."""
    return commands.run(faults, arguments, program="tests.faults", errors={CannotRun: commands.MISSING})


def _play_chosen(names: tuple[str, ...]) -> int:
    say(applications.raised_limits())
    rows: list[Row] = []
    for scenarios, clock, workers, small_disks in ((TENTH, "tenth", 4, 1), (TRUE, "true", 3, 0)):
        chosen = [s for s in scenarios if not names or s.name.startswith(names)]
        if chosen:
            rows += _play(chosen, clock=clock, workers=workers, small_disks=small_disks)
    report.write(rows, whole=not names)
    broken = [row for row in rows if row.verdict.problems]
    say(f"{len(rows)} scenarios, {len(broken)} with problems; see {report.REPORT}")
    return commands.FAILED if broken else commands.DONE


def _play(scenarios: list[Scenario], *, clock: str, workers: int, small_disks: int) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="anb-faults-"))
    with stage(folder, clock=clock, workers=workers, small_disks=small_disks) as here:
        for scenario in scenarios:
            _play_one(scenario, here)
    if any(row.verdict.problems for row in here.rows):
        say(f"what the processes said: {folder}/world/world.log")
    else:
        shutil.rmtree(folder)
    return here.rows


def _play_one(scenario: Scenario, here: Stage) -> None:
    began, known = time.monotonic(), len(here.rows)
    try:
        scenario.play(here)
    except Exception as error:  # noqa: BLE001 a scenario that cannot be played is a broken one; the others go on
        wrong = Verdict(problems=[f"it could not be played: {type(error).__name__}: {error}"])
        here.rows.append(Row(scenario=scenario.name, clock=here.world.clock, runs=0, verdict=wrong))
    for row in here.rows[known:]:
        found = report.line(row)
        say(f"{time.monotonic() - began:6.0f} s  {found['scenario']}: {found}")


if __name__ == "__main__":
    sys.exit(main())
