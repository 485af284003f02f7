"""Draws a recorded run and its replays on the simulated clock over each other."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from local.errors import CannotRun
from stacks.rules.assembly import Assembly
from twin import pictures
from twin.comparison import MOST_APART, Comparison, Run, compare, measured, recorded, replay_all
from twin.templates import fleets

_PANELS = {
    "unfinished": "videos waiting\nor in work",
    "processed": "videos processed",
    "instances": "workers' instances\nin service",
}
_RECORDED, _REPLAYED = "#1b4f72", "#e67e22"


def lay_over(path: Path, *, templates: Path, say: Callable[[str], None]) -> bool:
    """Draw the run in a JSON file, and over it its replays, beside that file; return whether they agree.

    Raises CannotRun if there is nothing to compare, and Refused for templates that the twin cannot act on.
    """
    if not templates.is_dir():
        raise CannotRun(f"there are no templates in {templates}; run: make synth")
    told = json.loads(path.read_text(encoding="utf-8"))
    (workers,) = (it for it in fleets(Assembly.read_folder(templates, region="")).values() if it.targets is None)
    run, replays = recorded(told), replay_all(workers, measured(told))
    pictures.draw(told, path.with_suffix(".png"))
    draw(run, replays, path.with_suffix(".simulated.png"), title=f"{told['story']}: recorded, and simulated again")
    return _tell(compare(run, replays), say)


def _tell(found: Comparison, say: Callable[[str], None]) -> bool:
    for it in found.figures:
        say(f"  {it}")
    if found.order != found.recorded_order:
        say(f"  recorded: {', '.join(found.recorded_order)}\n  simulated: {', '.join(found.order)}")
    if not found.agrees:
        say(f"  They differ by more than {MOST_APART:.0%}, or in the order of what happened.")
    return found.agrees


def draw(run: Run, replays: Sequence[Run], path: Path, *, title: str) -> None:
    """Write it as a PNG: the recorded curves, and where those of the replays are, with their mean as a line."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    axes = figure.subplots(len(_PANELS), sharex=True)
    minutes = [point.at_seconds / 60 for point in replays[0].curve]
    for ax, (name, label) in zip(axes, _PANELS.items(), strict=True):
        values = [[getattr(point, name) for point in at] for at in zip(*(it.curve for it in replays), strict=True)]
        ax.fill_between(minutes, list(map(min, values)), list(map(max, values)), color=_REPLAYED, alpha=0.25, lw=0)
        ax.plot(
            minutes, list(map(statistics.mean, values)), color=_REPLAYED, label=f"simulated, {len(replays)} draws"
        )
        ax.step(
            [point.at_seconds / 60 for point in run.curve],
            [getattr(point, name) for point in run.curve],
            where="post",
            color=_RECORDED,
            label="recorded",
        )
        ax.set_ylabel(label)
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.25)
    axes[0].legend(frameon=False)
    axes[-1].set_xlabel("minutes, in AWS's time")
    figure.suptitle(title)
    figure.savefig(path, dpi=90)
