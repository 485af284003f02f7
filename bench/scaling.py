"""Which way to scale keeps what is promised: candidates under all loads on the twin, and the choice over all ranges.

Nothing is measured but the twin's own speed; the rest is the same on every machine.
"""

import itertools
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import web_policies, worker_policies
from bench.report import CannotMeasure, Report, table
from bench.web_policies import Served
from bench.worker_policies import HOUR, Answer
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions, drawn, one_at_a_time
from twin.simulated import run_workers
from twin.templates import Fleet, fleets

TEMPLATES = Path(__file__).resolve().parents[1] / "build" / "cdk" / "academy"
DRAWS = 12
OVER_RANGES = ("as deployed", "1,500 requests", "CPU 60 %")  # web servers
MAX_CPU_SECONDS = 5  # for a million simulated seconds
_ALIKE = {"loads": (0.25, 0.35, 0.55, 0.65, 0.95), "bursts": (20, 40), "hours": 8, "runs": 2}


@dataclass(frozen=True)
class Figures:
    """Everything that was tried; what breaks, and the deployed workers' burst of forty, are by assumption."""

    workers: dict[str, Answer]
    web: dict[str, dict[str, Served]]
    workers_break: dict[str, list[str]]
    burst_p95_seconds: dict[str, float]
    web_breaks: dict[str, dict[str, list[str]]]
    cpu_seconds: float


def measure(*, quick: bool) -> Report:
    """Try all candidates; `quick` tries one load, with no assumption changed."""
    if not TEMPLATES.is_dir():
        raise CannotMeasure(f"there are no templates in {TEMPLATES}: run make synth first.")
    both = fleets(Assembly.read_folder(TEMPLATES, region=""))
    web, workers = web_policies.candidates(both["AnbWeb"]), both["AnbWorker"]
    tried = {"bursts": (40,), "loads": (0.65,), "hours": 2, "runs": 1} if quick else {}
    over_ranges = {} if quick else {name: _over(workers, it) for name, it in _ranges()}
    web_over_ranges = {} if quick else {name: web[name] for name in OVER_RANGES}
    figures = Figures(
        {
            name: worker_policies.answer(it, **tried)  # type: ignore[arg-type]
            for name, it in worker_policies.worker_candidates(workers).items()
        },
        {name: web_policies.answer(it) for name, it in web.items()},
        {name: list(it.broken()) for name, it in over_ranges.items()},
        {name: it.bursts[40].p95_seconds for name, it in over_ranges.items()},
        {name: dict(_web_over_ranges(it)) for name, it in web_over_ranges.items()},
        _cpu_seconds(workers, 1e5 if quick else 1e6),
    )
    return Report(
        conditions="simulated",
        text="\n\n".join(_texts(figures, quick=quick)),
        missed=[] if quick else list(_missed(figures)),
        figures=[asdict(figures)],
    )


def _texts(figures: Figures, *, quick: bool) -> Iterator[str]:
    yield _workers(figures)
    if not quick:
        yield _workers_ranges(figures)
    yield _web(figures)
    if not quick:
        yield _web_ranges(figures)
    yield f"A million simulated seconds of a burst an hour took {figures.cpu_seconds:.1f} s of CPU."


def _ranges() -> Iterator[tuple[str, Assumptions]]:
    draw = random.Random(1)  # noqa: S311 draws that can be repeated
    yield from one_at_a_time()
    yield from ((f"drawn {number}", drawn(draw)) for number in range(1, DRAWS + 1))


def _over(fleet: Fleet, assumptions: Assumptions) -> Answer:
    return worker_policies.answer(fleet, assumptions=assumptions, **_ALIKE)  # type: ignore[arg-type]


def _web_over_ranges(fleet: Fleet) -> Iterator[tuple[str, list[str]]]:
    for name, assumptions in _ranges():
        if web_policies.is_seen(assumptions):
            yield name, list(web_policies.broken(web_policies.answer(fleet, assumptions=assumptions)))


def _cpu_seconds(fleet: Fleet, seconds: float) -> float:
    """Return the CPU for a million simulated seconds with a burst of forty every hour."""
    arrivals = [float(at) for at in range(HOUR, int(seconds), HOUR) for _ in range(40)]
    began = time.process_time()
    run_workers(fleet, arrivals=arrivals, seconds=seconds)
    return (time.process_time() - began) * 1e6 / seconds


def _missed(figures: Figures) -> Iterator[str]:
    deployed = "as deployed"
    yield from figures.workers[deployed].broken()
    yield from web_policies.broken(figures.web[deployed])
    for broken_by in (figures.workers_break, figures.web_breaks[deployed]):
        for name, broken in broken_by.items():
            if not name.startswith("drawn"):
                yield from (f"{name}: {sentence}" for sentence in broken)
    if figures.cpu_seconds > MAX_CPU_SECONDS:
        yield f"a million simulated seconds take {figures.cpu_seconds:.1f} s of CPU"


def _workers(figures: Figures) -> str:
    def row(name: str, it: Answer) -> tuple[object, ...]:
        burst = it.bursts[40]
        excess = max((out.mean_fleet - max(1, _up(load)) for load, out in it.steady.items()), default=0)
        return (
            name,
            f"{burst.median_seconds:.0f} / {burst.p95_seconds:.0f}",
            f"{max(out.p95_seconds for out in it.steady.values()):.0f}",
            f"{excess:+.2f}",
            max(out.launches_per_hour for out in it.steady.values()),
            f"{max(out.back_seconds for out in it.bursts.values()) / 60:.0f}",
            f"{8 * it.evening.mean_fleet:.1f}",
            f"{it.deaths.p95_seconds:.0f}",
            len(list(it.broken())),
        )

    headings = (
        "workers",
        "40 at once, s (median / p95)",
        "steady, worst p95, s",
        "instances beyond the load",
        "launches in an hour",
        "back, min",
        "evening, instance h",
        "with deaths, p95, s",
        "promises broken",
    )
    return table(headings, [row(name, it) for name, it in figures.workers.items()])


def _up(load: float) -> int:
    return -int(-load // 1)


def _web(figures: Figures) -> str:
    def shown(it: Served) -> str:
        failed = f"{it.failed:.1%} for {it.failing_seconds / 60:.0f} min" if it.failed else "none"
        return f"{failed} / {it.mean_fleet:.2f}"

    rows = [
        (
            name,
            *(shown(it) for it in loads.values()),
            max(it.launches_per_hour for it in loads.values()),
            f"{max(it.back_seconds for it in loads.values()) / 60:.0f}",
            len(list(web_policies.broken(loads))),
        )
        for name, loads in figures.web.items()
    ]
    tried = (f"{load}: failed / mean fleet" for load in web_policies.LOADS)
    return table(("web servers", *tried, "launches in an hour", "back, min", "promises broken"), rows)


def _workers_ranges(figures: Figures) -> str:
    rows = [(name, "; ".join(broken)) for name, broken in figures.workers_break.items() if broken]
    told = f"The deployed workers' policy under {_sets(figures.workers_break)}; what then breaks:"
    return f"{told}\n\n" + table(("assumption", "broken"), rows or [("none", "")]) + f"\n\n{_sensitivity(figures)}"


def _sensitivity(figures: Figures) -> str:
    """Return the assumptions that a burst hangs on, the most first."""
    usual = figures.burst_p95_seconds["defaults"]
    by_name: dict[str, list[tuple[str, float]]] = {}
    for name, seconds in figures.burst_p95_seconds.items():
        assumption, _, value = name.rpartition(" ")
        if hasattr(Assumptions(), assumption) and abs(seconds - usual) >= 1:
            by_name.setdefault(assumption, []).append((value, seconds))
    rows = [
        (name, f"{getattr(Assumptions(), name):g}", "; ".join(f"{value}: {it:.0f}" for value, it in found))
        for name, found in sorted(by_name.items(), key=lambda it: -max(abs(s - usual) for _, s in it[1]))
    ]
    told = f"95 % of 40 videos at once take {usual:.0f} s; with one assumption changed, where that changes anything:"
    return f"{told}\n\n" + table(("assumption", "default", "value: seconds"), rows)


def _web_ranges(figures: Figures) -> str:
    rows = [
        (name, sum(map(bool, broken_by.values())), " ".join(sorted({it.partition(":")[0] for it in _all(broken_by)})))
        for name, broken_by in figures.web_breaks.items()
    ]
    told = (
        f"Web servers' policies under {_sets(figures.web_breaks['as deployed'])}, where an alarm of target tracking"
    )
    return f"{told} can read three minutes at all:\n\n" + table(
        ("web servers", "sets that break a promise", "under"), rows
    )


def _sets(broken_by: Mapping[str, object]) -> str:
    drawn_ = sum(name.startswith("drawn") for name in broken_by)
    return f"{len(broken_by)} sets of assumptions ({drawn_} of them drawn at random, all at once)"


def _all(broken_by: Mapping[str, list[str]]) -> Iterator[str]:
    return itertools.chain.from_iterable(broken_by.values())
