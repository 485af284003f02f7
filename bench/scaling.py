"""Which way to scale keeps what is promised: the twin's candidates under all loads, and the choice over all ranges.

Nothing is measured but the twin's own speed; the rest is the same on every machine.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.report import CannotMeasure, Report, table
from stacks.rules.assembly import Assembly
from twin import policies
from twin.assumptions import drawn, one_at_a_time
from twin.policies import Answer, Served
from twin.simulated import run_workers
from twin.templates import Fleet, fleets

TEMPLATES = Path(__file__).resolve().parents[1] / "build" / "cdk" / "academy"
# CPU for each request, in seconds: reading, a mix with sign-ins among it, much that is heavier
MIXES = {"light": 0.004, "mixed": 0.02, "heavy": 0.06}
PEAK = 0.8  # of what three servers can do
DRAWS = 12
MAX_CPU_SECONDS = 5  # for a million simulated seconds
_ALIKE = {"loads": (0.25, 0.35, 0.55, 0.65, 0.95), "bursts": (20, 40), "hours": 8, "runs": 2}


@dataclass(frozen=True)
class Figures:
    """Everything that was tried."""

    workers: dict[str, Answer]
    web: dict[str, dict[str, Served]]
    broken_by_assumption: dict[str, list[str]]
    cpu_seconds: float


def measure(*, quick: bool) -> Report:
    """Try all candidates; `quick` tries one load, with no assumption changed."""
    if not TEMPLATES.is_dir():
        raise CannotMeasure(f"there are no templates in {TEMPLATES}: run make synth first.")
    both = fleets(Assembly.read_folder(TEMPLATES, region=""))
    web, workers = both["AnbWeb"], both["AnbWorker"]
    tried = {"bursts": (40,), "loads": (0.65,), "hours": 2, "runs": 1} if quick else {}
    figures = Figures(
        {name: policies.answer(it, **tried) for name, it in policies.worker_candidates(workers).items()},  # type: ignore[arg-type]
        {name: _served(it) for name, it in policies.web_candidates(web).items()},
        {} if quick else dict(_over_all_ranges(workers)),
        _cpu_seconds(workers, 1e5 if quick else 1e6),
    )
    text = "\n\n".join([_workers(figures), _web(figures), *([] if quick else [_ranges(figures)]), _speed(figures)])
    return Report(
        conditions="simulated",
        text=text,
        missed=[] if quick else list(_missed(figures)),
        figures=[asdict(figures)],
    )


def _served(fleet: Fleet) -> dict[str, Served]:
    return {mix: policies.served(fleet, cpu_seconds=cost, peak=PEAK) for mix, cost in MIXES.items()}


def _over_all_ranges(fleet: Fleet) -> Iterator[tuple[str, list[str]]]:
    draw = random.Random(1)  # noqa: S311 draws that can be repeated
    for name, assumptions in [*one_at_a_time(), *((f"drawn {n}", drawn(draw)) for n in range(1, DRAWS + 1))]:
        found = list(policies.answer(fleet, assumptions=assumptions, **_ALIKE).broken())  # type: ignore[arg-type]
        yield name, found


def _cpu_seconds(fleet: Fleet, seconds: float) -> float:
    """Return the CPU for a million simulated seconds with a burst of forty every hour."""
    arrivals = [float(at) for at in range(policies.HOUR, int(seconds), policies.HOUR) for _ in range(40)]
    began = time.process_time()
    run_workers(fleet, arrivals=arrivals, seconds=seconds)
    return (time.process_time() - began) * 1e6 / seconds


def _missed(figures: Figures) -> Iterator[str]:
    yield from figures.workers["as deployed"].broken()
    for name, broken in figures.broken_by_assumption.items():
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
    shown: Callable[[Served], str] = lambda it: f"{it.failed:.2%} / {it.mean_fleet:.2f} / {it.launches_per_hour}"  # noqa: E731
    rows = [(name, *(shown(mixes[mix]) for mix in MIXES)) for name, mixes in figures.web.items()]
    headings = ("web servers", *(f"{mix}: failed / mean fleet / launches in an hour" for mix in MIXES))
    return table(headings, rows)


def _ranges(figures: Figures) -> str:
    rows = [(name, "; ".join(broken)) for name, broken in figures.broken_by_assumption.items() if broken]
    count = len(figures.broken_by_assumption)
    told = (
        f"The deployed policy under {count} other sets of assumptions ({DRAWS} of them drawn at random, all at once)"
    )
    return f"{told}; what then breaks:\n\n" + table(("assumption", "broken"), rows or [("none", "")])


def _speed(figures: Figures) -> str:
    return f"A million simulated seconds of a burst an hour took {figures.cpu_seconds:.1f} s of CPU."
