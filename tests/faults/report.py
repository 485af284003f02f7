"""What the runs have shown: a file for machines, and the same as a table in `docs/reliability.md`."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from tests.faults.stage import Row
from tests.faults.world import ROOT

REPORT = ROOT / "build" / "faults" / "report.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
_COLUMNS = (
    *("scenario", "clock", "runs", "accepted", "processed", "failed", "lost", "duplicated", "recovery_seconds"),
)


def line(row: Row) -> dict[str, Any]:
    """A row as it stands in the report."""
    verdict = row.verdict
    return {
        "scenario": row.scenario,
        "runs": row.runs,
        "accepted": verdict.accepted,
        "processed": verdict.processed,
        "failed": verdict.failed,
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "recovery_seconds": verdict.recovery_seconds,
        "clock": row.clock,
        "problems": verdict.problems,
    }


def write(rows: list[Row], *, whole: bool) -> None:
    """Put the rows of a run into both places; a partial run replaces the rows that it has played again."""
    played = {(row.scenario, row.clock): line(row) for row in rows}
    kept = json.loads(REPORT.read_text()) if REPORT.exists() and not whole else []
    # Without runs it could not be played, whose row has the name on the command line
    lines = [played.pop((old["scenario"], old["clock"]), old) for old in kept if old["runs"]]
    lines += played.values()
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(lines, indent=2, ensure_ascii=False) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_table(lines)}\n{END}{after}")


def _table(lines: list[dict[str, Any]]) -> str:
    head = [
        f"_{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}._",
        "",
        f"| {' | '.join(_COLUMNS)} | verdict |",
        f"|---|---|{'---:|' * (len(_COLUMNS) - 2)}---|",
    ]
    body = [
        f"| {' | '.join(str(entry[column]) for column in _COLUMNS)} | {'; '.join(entry['problems']) or 'kept'} |"
        for entry in lines
    ]
    return "\n".join(head + body)


def _processor() -> str:
    words = [entry for entry in Path("/proc/cpuinfo").read_text().splitlines() if entry.startswith("model name")]
    return words[0].partition(": ")[2] if words else platform.machine()
