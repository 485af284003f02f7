"""Scenario 2: what a worker's machine takes, in six cells of two runs each.

A cell is videos of one size and so many worker processes on one machine. Its saturation run sends more and more
videos a minute until the queue only grows; its sustained run sends a fixed number that it can take. Messages come
straight from here, with the row and the object that a worker needs. Every run leaves one file of raw data, so that
a measurement that was interrupted goes on with the next run.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from anb import commands
from anb.videos import MIN_SECONDS
from bench.clips import CLIPS, KEPT
from capacity import raw
from capacity.machine import describe
from capacity.report import Folder
from capacity.worker_pipelines import compare
from capacity.worker_plan import (
    CELLS,
    FULL,
    RUNS,
    SATURATION,
    SHORT,
    SHORT_CELLS,
    SIZES_MB,
    SUSTAINED,
    Cell,
    Lengths,
    arrivals,
)
from capacity.worker_results import pipelines_file, summary_of_run
from capacity.worker_run import Node, running_node
from demo.samples import make_sample

DRAIN_SECONDS = 900  # the longest that a run waits for what is left in the queue
ROUNDS = 3  # of the worker beside the usual pipeline
# A run of seconds sees too few videos for Little's law to hold closely
MAX_SHORT_DISAGREEMENT = 0.35
_CLIPS = dict(zip(SIZES_MB, CLIPS, strict=False))


def clip(megabytes: int) -> Path:
    """Return a real video of about that size, which is made on first use."""
    if megabytes in _CLIPS:
        return _CLIPS[megabytes].file()
    path = KEPT / f"{megabytes}mb.mp4"
    if not path.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        # As short as the contest allows; few pictures make it cheap to draw
        make_sample(path, seconds=MIN_SECONDS, fps=5, kilobits_per_second=megabytes * 8000 // MIN_SECONDS)
    return path


def measure(folder: Path, cells: Sequence[Cell], lengths: Lengths) -> None:
    """Make the runs of the cells that the folder does not have yet, and keep the raw data of each at once."""
    for cell in cells:
        missing = [run for run in RUNS if not is_measured(folder / cell.file(run), lengths)]
        if missing:
            _measure_cell(folder, cell, missing, lengths)
        else:
            click.echo(f"{cell.name}: measured before", err=True)


def is_measured(path: Path, lengths: Lengths) -> bool:
    """Whether the file is there and comes from a run of these lengths; one of others is made again."""
    return path.exists() and raw.read(path)["lengths"] == lengths.to_json()


def _capacity(saturation: Path) -> float:
    """Return the videos a minute that the saturation run came to."""
    return float(summary_of_run(raw.read(saturation))["videos_per_minute"])


def _measure_cell(folder: Path, cell: Cell, runs: Sequence[str], lengths: Lengths) -> None:
    """Make runs of a cell, one after the other, on services of its own that have been warmed up."""
    source = clip(cell.megabytes)
    with (
        tempfile.TemporaryDirectory(prefix="capacity-") as state,
        running_node(Path(state), processes=cell.processes) as node,
    ):
        warm_up = _warm_up(node, source, max(lengths.warm_up_videos, cell.processes))
        for run in runs:
            # Loads are shares of what the saturation came to, before there is one of what the warm-up did
            used = _capacity(folder / cell.file(SATURATION)) if run == SUSTAINED else warm_up
            path = folder / cell.file(run)
            raw.write(path, _run(node, cell, run, lengths, warm_up=warm_up, videos_per_minute=used))
            click.echo(_told(path), err=True)


def _run(
    node: Node, cell: Cell, run: str, lengths: Lengths, *, warm_up: float, videos_per_minute: float
) -> dict[str, Any]:
    """Make one run on a node whose queue is empty; loads are shares of so many videos a minute."""
    begun, source, loads = datetime.now(UTC), clip(cell.megabytes), lengths.loads(run)
    seconds = sum(seconds for seconds, _ in loads)
    observed = node.observe(
        source,
        list(arrivals(loads, videos_per_minute=videos_per_minute)),
        name=f"{cell.name}-{run}",
        seconds=seconds,
        within_seconds=seconds + DRAIN_SECONDS,
    )
    return {
        "cell": asdict(cell),
        "run": run,
        "lengths": lengths.to_json(),
        "machine": describe(),
        "begun": begun.isoformat(timespec="seconds"),
        "source_bytes": source.stat().st_size,
        "warm_up_videos_per_minute": warm_up,
        "assumed_videos_per_minute": videos_per_minute,
        "loads": loads,
        **asdict(observed),
    }


def _warm_up(node: Node, source: Path, videos: int) -> float:
    """Return the videos a minute of a node that begins with so many at once."""
    begun = time.monotonic()
    node.observe(source, [0.0] * videos, name="warm-up", seconds=0, within_seconds=DRAIN_SECONDS)
    return 60 * videos / (time.monotonic() - begun)


def _told(path: Path) -> str:
    """Return a line about a run that has been made."""
    run = raw.read(path)
    found = summary_of_run(run)
    return (
        f"{path.name}: X {found['videos_per_minute']:.2f} videos/min, S {found['service_seconds']:.1f} s, "
        f"L {found['concurrency']:.2f} (Little {found['concurrency_by_little']:.2f}), "
        f"queue {found['queue_trend_per_minute']:+.2f}/min, {found['bottleneck']}"
    )


@click.command("worker", help=__doc__)
@click.option("--short", is_flag=True, help="One cell of small videos: only see whether it works.")
@click.option("--cell", "only", metavar="NAME", help="One cell alone, such as 50mb-2p.")
def command(*, short: bool, only: str | None) -> int:
    """Measure what is not measured yet; the exit code is 1 where a short run's figures contradict each other."""
    if short:
        return _short()
    cells = [cell for cell in CELLS if only in {None, cell.name}]
    if not cells:
        raise click.UsageError(f"{only} is not a cell; cells are {', '.join(cell.name for cell in CELLS)}")
    folder = Folder().raw("worker")
    measure(folder, cells, FULL)
    for size in {cell.megabytes for cell in cells}:
        path = folder / pipelines_file(size)
        if not only and not (path.exists() and len(raw.read(path)["rounds"]) == ROUNDS):
            raw.write(path, compare(clip(size), rounds=ROUNDS))
            click.echo(f"{path.name}: {raw.read(path)['rounds'][-1]}", err=True)
    return commands.DONE


def _short() -> int:
    with tempfile.TemporaryDirectory(prefix="capacity-") as name:
        folder = Path(name)
        measure(folder, SHORT_CELLS, SHORT)
        found = [summary_of_run(raw.read(folder / cell.file(run))) for cell in SHORT_CELLS for run in RUNS]
    largest = max(one["disagreement"] for one in found)
    click.echo(f"counted and logged concurrency differ by at most {largest:.0%}")
    return commands.FAILED if largest > MAX_SHORT_DISAGREEMENT else commands.DONE
