"""Plays the scenarios and writes what they showed.

Usage: python -m tests.faults [NAME ...]      all of them, or those whose names begin so
       python -m tests.faults --mutations     show that each mutation of the code makes a scenario fail
       python -m tests.faults --list
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from local import applications
from local.console import say
from tests.faults import mutations, report
from tests.faults.catalogue import TENTH, TRUE, Scenario
from tests.faults.oracle import Verdict
from tests.faults.stage import Row, Stage, stage


def main(arguments: list[str]) -> int:
    """Play what the arguments name; 1 when an invariant was broken."""
    if arguments == ["--list"]:
        say("\n".join(scenario.name for scenario in TENTH + TRUE))
        return 0
    if arguments[:1] == ["--mutations"]:
        return mutations.main(arguments[1:])
    say(applications.raised_limits())
    rows: list[Row] = []
    for scenarios, clock, workers, small_disks in ((TENTH, "tenth", 4, 1), (TRUE, "true", 3, 0)):
        chosen = [s for s in scenarios if not arguments or s.name.startswith(tuple(arguments))]
        if chosen:
            rows += _play(chosen, clock=clock, workers=workers, small_disks=small_disks)
    report.write(rows, whole=not arguments)
    broken = [row for row in rows if row.verdict.problems]
    say(f"{len(rows)} scenarios, {len(broken)} with problems; see {report.REPORT}")
    return 1 if broken else 0


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
    sys.exit(main(sys.argv[1:]))
