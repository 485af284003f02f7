"""What the raw data of scenario 2 say: rates, times and queues of each cell, and what its machine was busy with."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capacity import raw
from capacity.worker_plan import CELLS, FULL, RUNS, SATURATION, SIZES_MB, Cell

MAX_DISAGREEMENT = 0.10  # between the concurrency that was counted and that which Little's law gives
FLAT_SHARE = 0.10  # a queue that grows by less than this share of what is processed does not grow
SERIES_SECONDS = 5  # between two points of a figure
MAX_OTHERS_SHARE = 0.05  # of the processors, used by what is no part of the run
BUSY_SHARE, WAITING_FOR_DISK_SHARE = 0.85, 0.15
PARTS = ("ffmpeg", "worker", "database", "emulator", "producer")

Run = Mapping[str, Any]
"""A run's raw data."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A video on its way; Unix seconds."""

    enqueued: float
    started: float
    ended: float

    @property
    def service_seconds(self) -> float:
        """How long a worker had it."""
        return self.ended - self.started

    def share_within(self, window: tuple[float, float]) -> float:
        """Return which part of its processing was within a window."""
        begin, end = window
        return max(0.0, min(self.ended, end) - max(self.started, begin)) / self.service_seconds


def jobs_of(run: Run) -> list[Job]:
    """Return the videos of a run by their correlation ids; raises ValueError for one that did not end."""
    times: dict[str, dict[str, float]] = defaultdict(dict)
    for event in run["events"]:
        times[event["id"]].setdefault(event["event"], event["at"])
    if unfinished := [id_ for id_, found in times.items() if not {"enqueued", "started", "ended"} <= set(found)]:
        raise ValueError(f"{unfinished[0]} was not enqueued, started and ended")
    jobs = [Job(**{name: found[name] for name in ("enqueued", "started", "ended")}) for found in times.values()]
    return sorted(jobs, key=lambda job: job.enqueued)


def trend_per_minute(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of a line through points of seconds and a number (least squares), in units a minute."""
    if len(points) < 2:
        return 0.0
    slope = statistics.linear_regression([at for at, _ in points], [number for _, number in points]).slope
    return 60 * slope


def mean_over_time(points: Sequence[tuple[float, float]]) -> float:
    """Return the mean of a number that was looked at now and then: each value counts until the next one."""
    seconds = points[-1][0] - points[0][0]
    held = (number * (points[place + 1][0] - at) for place, (at, number) in enumerate(points[:-1]))
    return sum(held) / seconds


def saturated_window(run: Run) -> tuple[float, float] | None:
    """Return the longest time in which there was always a video that waited, or None where there was none."""
    longest, begun = None, None
    for sample in run["samples"]:
        if not sample["waiting"]:
            begun = None
            continue
        begun = sample["at"] if begun is None else begun
        if longest is None or sample["at"] - begun > longest[1] - longest[0]:
            longest = begun, sample["at"]
    return longest if longest and longest[1] > longest[0] else None


def sustained_window(run: Run, jobs: Sequence[Job]) -> tuple[float, float]:
    """Return the time from when the first videos have passed until the last has arrived."""
    first, last = jobs[0].enqueued, jobs[-1].enqueued
    seconds = sum(seconds for seconds, _ in run["loads"])
    passed = min(statistics.mean(job.service_seconds for job in jobs), (last - first) / 2)
    return first + passed, max(last, first + seconds)


def rates(run: Run, jobs: Sequence[Job], window: tuple[float, float]) -> dict[str, float]:
    """Return throughput, service time, concurrency and their agreement by Little's law within a window.

    A video that crosses the window's edge counts by the part of its processing that was within. Throughput and
    service time come from what the workers logged, the concurrency from what the queue counts as in flight.
    """
    shares = [(job.share_within(window), job.service_seconds) for job in jobs]
    videos, minutes = sum(share for share, _ in shares), (window[1] - window[0]) / 60
    per_minute = videos / minutes
    service_seconds = sum(share * seconds for share, seconds in shares) / videos
    in_flight = mean_over_time(_points(run, "in_flight", window))
    expected = per_minute * service_seconds / 60
    return {
        "window_seconds": window[1] - window[0],
        "videos": videos,
        "videos_per_minute": per_minute,
        "service_seconds": service_seconds,
        "concurrency": in_flight,
        "concurrency_by_little": expected,
        "disagreement": abs(in_flight - expected) / expected,
    }


def steps_of(run: Run, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return for each step of load what was offered and processed, in videos a minute, and what the queue did."""
    found, begin = [], jobs[0].enqueued
    for seconds, load in run["loads"]:
        window = begin, begin + seconds
        offered = 60 * sum(window[0] <= job.enqueued < window[1] for job in jobs) / seconds
        waiting = _points(run, "waiting", window)
        trend = trend_per_minute(waiting)
        found.append(
            {
                "load": load,
                "offered_per_minute": offered,
                "processed_per_minute": 60 * sum(job.share_within(window) for job in jobs) / seconds,
                "queue_trend_per_minute": trend,
                "waiting_at_end": waiting[-1][1] if waiting else 0,
                "grows": trend > FLAT_SHARE * offered and bool(waiting) and waiting[-1][1] > waiting[0][1],
            }
        )
        begin = window[1]
    return found


def usage_of(run: Run, window: tuple[float, float], *, videos: float) -> dict[str, Any]:
    """Return what the machine was busy with within a window, and what a video took of it."""
    inside = [sample for sample in run["samples"] if window[0] <= sample["at"] <= window[1]]
    first, last = inside[0], inside[-1]
    seconds = last["at"] - first["at"]
    spent = {
        name: last["machine_seconds"][name] - first["machine_seconds"][name] for name in first["machine_seconds"]
    }
    all_, cpu = sum(spent.values()), {part: _grown(first, last, part) for part in PARTS}
    videos_seen = videos * seconds / (window[1] - window[0])
    busy = all_ - spent["idle"] - spent["iowait"] - spent["steal"]
    return {
        "machine_cores": all_ / seconds,
        "busy_share": busy / all_,
        "iowait_share": spent["iowait"] / all_,
        "steal_share": spent["steal"] / all_,
        "others_share": max(0.0, busy - sum(cpu.values())) / all_,
        "cores": {part: used / seconds for part, used in cpu.items()},
        "cpu_seconds_per_video": {part: used / videos_seen for part, used in cpu.items()},
        "disk_megabytes_per_second": (
            sum(last[name] - first[name] for name in ("disk_read_bytes", "disk_written_bytes")) / seconds / 1e6
        ),
        "fetched_megabytes_per_second": videos_seen * run["source_bytes"] / seconds / 1e6,
        "scratch_peak_megabytes": max(sample["scratch_bytes"] for sample in inside) / 1e6,
        "memory_peak_megabytes": max(sample["worker_bytes"] for sample in inside) / 1e6,
    }


def bottleneck(usage: Mapping[str, Any], *, processes: int) -> str:
    """Return what a saturated machine has no more of, in the report's language."""
    if usage["busy_share"] >= BUSY_SHARE:
        return "CPU"
    if usage["iowait_share"] >= WAITING_FOR_DISK_SHARE:
        return "disco temporal"
    return "un solo proceso" if processes == 1 else "ninguno a la vista"


def summary_of_run(run: Run) -> dict[str, Any]:
    """Return what a run came to, with the points that its figure is drawn from."""
    jobs = jobs_of(run)
    is_saturation = run["run"] == SATURATION
    window = (saturated_window(run) if is_saturation else None) or sustained_window(run, jobs)
    found = rates(run, jobs, window)
    usage = usage_of(run, window, videos=found["videos"])
    steps = steps_of(run, jobs)
    trend = trend_per_minute(_points(run, "waiting", window))
    return rounded(
        {
            "begun": run["begun"],
            "sent": len(jobs),
            **found,
            "service_seconds_p95": _p95([job.service_seconds for job in jobs]),
            "response_seconds": statistics.mean(job.ended - job.enqueued for job in jobs),
            "queue_trend_per_minute": trend,
            "is_stable": abs(trend) <= FLAT_SHARE * found["videos_per_minute"],
            "agrees": found["disagreement"] <= MAX_DISAGREEMENT,
            "usage": usage,
            "bottleneck": bottleneck(usage, processes=run["cell"]["processes"]),
            "steps": steps,
            "saturation_per_minute": next((it["offered_per_minute"] for it in steps if it["grows"]), None),
            "series": _series(run, jobs[0].enqueued),
        }
    )


def summarise(folder: Path) -> dict[str, Any]:
    """Return the results of all cells that the folder has both runs of, and of the pipelines if it has them."""
    cells, runs = {}, []
    for cell in CELLS:
        data = [raw.read(folder / cell.file(run)) for run in RUNS if (folder / cell.file(run)).exists()]
        if len(data) == len(RUNS):
            cells[cell.name] = _of_cell(cell, data)
            runs += data
    found: dict[str, Any] = {"cells": cells}
    if runs:
        found |= {"machine": runs[0]["machine"], "lengths": runs[0]["lengths"], "totals": _totals(cells)}
        found["state"] = state(runs, cells)
        found["predictions"] = [rounded(one) for one in predictions(cells)]
    files = {f"{size}mb": folder / pipelines_file(size) for size in SIZES_MB}
    if pipelines := {name: compared(raw.read(path)) for name, path in files.items() if path.exists()}:
        found["pipelines"] = pipelines
    return found


def state(runs: Sequence[Run], cells: Mapping[str, Any]) -> str:
    """Return, in the report's language, whether the figures are a node's capacity or why they are not yet."""
    others = max(cell[SATURATION]["usage"]["others_share"] for cell in cells.values())
    missing = {
        "faltan celdas": len(cells) < len(CELLS),
        "las pruebas fueron más cortas que las del plan": any(run["lengths"] != FULL.to_json() for run in runs),
        "otros programas usaron la máquina a la vez": others > MAX_OTHERS_SHARE,
    }
    reasons = [reason for reason, holds in missing.items() if holds]
    return f"provisionales: {', '.join(reasons)}" if reasons else "definitivos"


def pipelines_file(megabytes: int) -> str:
    """Return the name of the raw data of the worker beside a usual pipeline."""
    return f"pipelines-{megabytes}mb.json.gz"


def _of_cell(cell: Cell, runs: Sequence[Run]) -> dict[str, Any]:
    return {**vars(cell), **{run["run"]: summary_of_run(run) for run in runs}}


def predictions(cells: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield, for each cell of several processes, what the CPU of one process's videos lets all cores do."""
    for cell in cells.values():
        alone = cells.get(Cell(megabytes=cell["megabytes"], processes=1).name)
        if alone and cell["processes"] > 1:
            usage = alone[SATURATION]["usage"]
            each = sum(usage["cpu_seconds_per_video"].values())
            ceiling, reached = 60 * usage["machine_cores"] / each, cell[SATURATION]["videos_per_minute"]
            yield {
                "megabytes": cell["megabytes"],
                "processes": cell["processes"],
                "cpu_seconds_per_video": each,
                "ceiling_per_minute": ceiling,
                "videos_per_minute": reached,
                "share": reached / ceiling,
            }


def _totals(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of all cells together."""
    runs = [cell[run] for cell in cells.values() for run in RUNS]
    best = max(cells, key=lambda name: cells[name][SATURATION]["videos_per_minute"])
    return {
        "cells": len(cells),
        "runs": len(runs),
        "videos": sum(run["sent"] for run in runs),
        "largest_disagreement": max(run["disagreement"] for run in runs),
        "runs_that_agree": sum(run["agrees"] for run in runs),
        "stable_sustained": sum(cell["sustained"]["is_stable"] for cell in cells.values()),
        "best": {"name": best, **{key: cells[best][key] for key in ("megabytes", "processes")}},
    }


def compared(clip: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the worker compares with a usual pipeline on a clip, and what its encoding spends CPU on."""
    median: Callable[[str, str], float] = lambda side, key: statistics.median(  # noqa: E731
        one[side][key] for one in clip["rounds"]
    )
    sides = {
        side: {
            "seconds": median(side, "wall_seconds"),
            "cpu_seconds": median(side, "cpu_seconds"),
            "videos_per_minute": 60 / median(side, "wall_seconds"),
            "megabytes": median(side, "output_bytes") / 1e6,
            "vmaf": statistics.harmonic_mean(score + 1 for score in clip["vmaf"][side]) - 1,
        }
        for side in ("worker", "usual")
    }
    ratios = {
        key: statistics.median(one["usual"][key] / one["worker"][key] for one in clip["rounds"])
        for key in ("wall_seconds", "cpu_seconds")
    }
    steps = {key: statistics.median(one[key] for one in clip["anatomy"]) for key in clip["anatomy"][0]}
    return rounded(
        {
            **sides,
            "rounds": len(clip["rounds"]),
            "times_faster": ratios["wall_seconds"],
            "times_the_cpu": ratios["cpu_seconds"],
            "cpu_seconds": {
                "decoding": steps["decode"],
                "filters": max(0.0, steps["filter"] - steps["decode"]),
                "encoding": max(0.0, sides["worker"]["cpu_seconds"] - steps["filter"]),
            },
        }
    )


def _points(run: Run, name: str, window: tuple[float, float]) -> list[tuple[float, float]]:
    return [(sample["at"], sample[name]) for sample in run["samples"] if window[0] <= sample["at"] <= window[1]]


def _grown(first: Mapping[str, Any], last: Mapping[str, Any], part: str) -> float:
    return float(last["cpu_seconds"][part] - first["cpu_seconds"][part])


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _series(run: Run, begin: float) -> list[list[float]]:
    """Return seconds, videos that wait and videos that are worked on, every few seconds."""
    found: list[list[float]] = []
    for sample in run["samples"]:
        at = sample["at"] - begin
        if at >= 0 and (not found or at - found[-1][0] >= SERIES_SECONDS):
            found.append([round(at, 1), sample["waiting"], sample["in_flight"]])
    return found


def rounded(value: dict[str, Any]) -> dict[str, Any]:
    """Return the same with four significant digits, which is more than any of it is worth."""
    return {key: _rounded(one) for key, one in value.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return rounded(value)
    return [_rounded(one) for one in value] if isinstance(value, list) else value
