"""Draws what a story has left in its JSON: curves and events on one axis of time. All times are the twin's."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Told = Mapping[str, Any]
_WIDTH_INCHES, _PANEL_INCHES, _HEAD_INCHES, _NOTE_INCHES = 11, 2.1, 0.6, 0.18
_ZONES = ("#7fb3d5", "#f0b27a")
_ANSWERS = {"answered": (("2xx", "3xx", "4xx"), "#2471a3"), "failed": (("5xx", "broken"), "red")}
_BEFORE_SECONDS = 300  # that are shown before the first note
_HEAD_CHARACTERS = 150  # in a line of the picture's width
_PLACES = 30  # for numbers of notes, side by side
_BUCKET_SECONDS = 10  # of the twin's, over which requests are averaged


def draw(told: Told, path: Path) -> None:
    """Write the story's picture as a PNG."""
    panels = [panel for panel in (_queue, _workers, _web, _requests) if _has_something(panel, told)]
    height = _HEAD_INCHES + _NOTE_INCHES * len(told["notes"]) + _PANEL_INCHES * len(panels)
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    axes: list[Axes] = list(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0])
    for panel, ax in zip(panels, axes, strict=True):
        panel(ax, told)
        _mark_notes(ax, told)
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.25)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    if told["notes"]:
        axes[-1].set_xlim(left=max(-0.5, (told["notes"][0][0] - _BEFORE_SECONDS) / 60))
    axes[-1].set_xlabel("minutes, in AWS's time")
    figure.suptitle(_head(told), fontsize="medium", x=0.01, ha="left")
    figure.savefig(path, dpi=100)


def _has_something(panel: Callable[[Axes, Told], None], told: Told) -> bool:
    if panel is _requests:
        return bool(told["answers_by_second"])
    return panel not in {_queue, _workers} or bool(told["accepted_at_seconds"])


def _queue(ax: Axes, told: Told) -> None:
    for name, label in (("visible", "waiting"), ("in_flight", "in work"), ("processed", "processed")):
        ax.plot(_minutes(told), _values(told, name), label=label, linestyle="--" if name == "processed" else "-")
    ax.set_ylabel("videos")


def _workers(ax: Axes, told: Told) -> None:
    _fleet(ax, told, zones="workers", desired="workers_desired", name="workers")
    ax.set_ylabel("workers' instances")


def _web(ax: Axes, told: Told) -> None:
    _fleet(ax, told, zones="web", desired="web_desired", name="web")
    ax.step(_minutes(told), _values(told, "healthy"), where="post", color="#1e8449", label="healthy")
    ax.set_ylabel("web servers")


def _fleet(ax: Axes, told: Told, *, zones: str, desired: str, name: str) -> None:
    """Draw what is in service by zone, what is wanted, the limits, and what the group and its alarms did."""
    rows = _values(told, zones)
    names = list(rows[0])
    ax.stackplot(
        _minutes(told),
        [[row[zone] for row in rows] for zone in names],
        labels=[f"in service, {zone}" for zone in names],
        colors=_ZONES,
        step="post",
    )
    ax.step(_minutes(told), _values(told, desired), where="post", color="black", linewidth=1.2, label="wanted")
    least, most = told["sizes"][name]
    for limit in {least, most}:
        ax.axhline(limit, color="grey", linestyle=":", linewidth=0.9)
    _mark_events(ax, told, name, top=most)
    ax.set_ylim(top=most + 1)


def _mark_events(ax: Axes, told: Told, name: str, *, top: int) -> None:
    marks = {"launch": ("^", "#1e8449"), "ended": ("v", "#922b21"), "stopped": ("x", "#922b21")}
    events = [event for event in told["events"] if event["fleet"] == name]
    for what, (marker, colour) in marks.items():
        times = [event["at_seconds"] / 60 for event in events if event["what"] == what]
        if times:
            ax.plot(times, [top + 0.4] * len(times), marker, color=colour, label=what, markersize=5)
    alarms = [event["at_seconds"] / 60 for event in events if event["what"].endswith(" ALARM")]
    if alarms:
        ax.plot(alarms, [top + 0.75] * len(alarms), "*", color="#d68910", label="alarm", markersize=7)


def _requests(ax: Axes, told: Told) -> None:
    """Draw what readers got, and what the servers' policy would have each of them get."""
    last = max(int(second) for second in told["answers_by_second"])
    count = last // _BUCKET_SECONDS + 1
    for label, (kinds, colour) in _ANSWERS.items():
        buckets = [0] * count
        for second, answers in told["answers_by_second"].items():
            buckets[int(second) // _BUCKET_SECONDS] += sum(answers.get(kind, 0) for kind in kinds)
        times = [number * _BUCKET_SECONDS / 60 for number in range(count)]
        ax.step(
            times,
            [each * told["speed"] / _BUCKET_SECONDS for each in buckets],
            where="post",
            color=colour,
            label=label,
        )
    if target := told["requests_per_target"]:
        wanted = [healthy * target / 60 for healthy in _values(told, "healthy")]
        ax.step(_minutes(told), wanted, where="post", color="grey", linestyle=":", label="target")
    ax.set_ylabel("requests/s")


def _mark_notes(ax: Axes, told: Told) -> None:
    """Draw a line for each note, with its number; the picture's head has the words."""
    for at, _ in told["notes"]:
        ax.axvline(at / 60, color="black", linewidth=0.7, alpha=0.6)
    if told["notes"] and ax.get_subplotspec().is_first_row():  # type: ignore[union-attr]  # every panel is in a grid
        for at, label in _numbers(told):
            ax.annotate(label, (at / 60, 1), xycoords=("data", "axes fraction"), fontsize=8, ha="center", va="bottom")


def _numbers(told: Told) -> list[tuple[float, str]]:
    """Return the notes' numbers and when they are due; those of notes that lie close together share a place."""
    groups: list[list[tuple[float, int]]] = []
    shown_seconds = told["moments"][-1]["at_seconds"] - max(0, told["notes"][0][0] - _BEFORE_SECONDS)
    for number, (at, _) in enumerate(told["notes"], start=1):
        if not groups or at - groups[-1][0][0] > shown_seconds / _PLACES:
            groups.append([])
        groups[-1].append((at, number))
    return [
        (group[0][0], str(group[0][1]) if len(group) == 1 else f"{group[0][1]}-{group[-1][1]}") for group in groups
    ]


def _head(told: Told) -> str:
    notes = (f"{number}  {what}" for number, (_, what) in enumerate(told["notes"], start=1))
    lines = (f"{told['story']}: {told['sentence']}", *notes)
    return "\n".join(textwrap.shorten(line, _HEAD_CHARACTERS, placeholder=" …") for line in lines)


def _minutes(told: Told) -> list[float]:
    return [moment["at_seconds"] / 60 for moment in told["moments"]]


def _values(told: Told, name: str) -> list[Any]:
    return [moment[name] for moment in told["moments"]]
