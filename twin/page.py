"""Writes the page that shows all stories which have been played."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from twin.assumptions import RANGES, Assumptions

_HERE = Path(__file__).resolve().parent


def write_page(folder: Path) -> Path:
    """Write index.html over the stories whose JSON lies in the folder, and return it."""
    stories = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("page.html").render(
        stories=stories, figures=figures, assumptions=asdict(Assumptions()), ranges=RANGES
    )
    page = folder / "index.html"
    draft = folder / f"index-{os.getpid()}.draft"
    draft.write_text(text, encoding="utf-8")
    return draft.replace(page)  # stories that end together write it each


def figures(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a story comes to in numbers, in words."""
    if took := told["processed_after_seconds"]:
        p95 = quantiles(took, n=20, method="inclusive")[-1] if len(took) > 1 else took[0]
        yield f"{len(took)} videos processed after {median(took):.0f} s (median) and {p95:.0f} s (95 %)"
    answers = [count for second in told["answers_by_second"].values() for count in second.items()]
    if answers:
        failed = sum(count for kind, count in answers if kind in {"5xx", "broken"})
        yield f"{sum(count for _, count in answers)} answers to readers, of which {failed} failed"
    for name, seconds in told["instance_seconds"].items():
        launches = sum(it["what"] == "launch" for it in told["events"] if it["fleet"] == name)
        yield f"{name}: {seconds / 3600:.2f} instance hours, {launches} launches"
    encodings = "replayed" if told["replays"] else "done"
    yield f"{told['took_seconds']} s by this machine's clock at speed {told['speed']:g}, encodings {encodings}"
