"""Plays a story on a system of its own, tells of it in the terminal, and keeps what was seen."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.samples import make_sample
from local.errors import CannotRun
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions
from twin.page import write_page
from twin.pictures import draw
from twin.stage import Stage, running_stage
from twin.stories import Story
from twin.templates import fleets
from twin.world import running_world


def play(story: Story, *, folder: Path, templates: Path, speed: float, say: Callable[[str], None]) -> bool:
    """Play a story and write `NAME.json`; return whether its promises held.

    It has what `Stage.told` says, and `story`, `sentence`, `templates` (the profile), `speed`, `machine_processors`,
    and `took_seconds` by the machine's clock.

    Raises CannotRun, and Refused for templates that the twin does not know how to act on.
    """
    say(f"\n{story.name}: {story.sentence}")
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (folder / f"{story.name}.log").open("w") as log, tempfile.TemporaryDirectory(prefix="elastic-") as system:
        assembly = _read(templates)
        with (
            running_world(
                Path(system),
                fleets(assembly),
                speed=speed,
                assumptions=Assumptions(),
                clip=_clip(folder),
                write=lambda name, line: _write(log, name, line),
            ) as world,
            running_stage(world, say=say) as stage,
        ):
            story.play(stage)
            told = stage.told()
    told |= {"story": story.name, "sentence": story.sentence, "templates": templates.name, "speed": speed}
    told |= {"machine_processors": os.cpu_count(), "took_seconds": round(time.monotonic() - began)}
    raw = json.dumps(told, indent=1, ensure_ascii=False)
    (folder / f"{story.name}.json").write_text(raw + "\n", encoding="utf-8")
    draw(json.loads(raw), folder / f"{story.name}.png")
    say(f"  {write_page(folder)}")
    return _verdict(stage, say)


def _verdict(stage: Stage, say: Callable[[str], None]) -> bool:
    for promise in stage.promises:
        say(
            f"  not kept: {promise.sentence}: {promise.why_not}" if promise.why_not else f"  kept: {promise.sentence}"
        )
    return not any(promise.why_not for promise in stage.promises)


def _write(log: Any, name: str, line: str) -> None:
    if not log.closed:
        log.write(f"{name}: {line}\n")


def _read(templates: Path) -> Assembly:
    if not templates.is_dir():
        raise CannotRun(f"there are no templates in {templates}; run: make synth")
    return Assembly.read_folder(templates, region="us-east-1")


def _clip(folder: Path) -> Path:
    """Return a clip of the length that a processed one takes of it, drawn once."""
    clip = folder / "clip" / "clip.mp4"
    if not clip.exists():
        clip.parent.mkdir(exist_ok=True)
        draft = make_sample(clip.with_name("draft.mp4"), seconds=20.5, audio=False, grain=0, kilobits_per_second=600)
        draft.replace(clip)
    return clip
