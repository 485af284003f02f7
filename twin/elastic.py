"""Plays a story on a system of its own, tells of it in the terminal, and keeps what was seen."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo.samples import make_sample
from local.errors import CannotRun
from local.parent_death import dying_with_us
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions
from twin.page import write_page
from twin.pictures import draw
from twin.stage import Stage, running_stage
from twin.stories import Story
from twin.templates import fleets
from twin.world import running_world

_SIDE_BY_SIDE = 2  # a story alone leaves a processor free most of the time


def play_all(stories: Sequence[Story], *, folder: Path, options: Sequence[str], say: Callable[[str], None]) -> bool:
    """Play stories, each with a system and a process of its own; return whether all promises held.

    `options` are those of `python -m twin elastic`, which writes to `folder`.
    """
    _clip(folder)  # not drawn by two at once
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="stories") as threads:
        kept = list(threads.map(lambda story: _play_apart(story, options, say), stories))
    for story, is_kept in zip(stories, kept, strict=True):
        say(f"{story.name}: {'every promise was kept' if is_kept else 'NOT every promise was kept'}")
    return all(kept)


def _play_apart(story: Story, options: Sequence[str], say: Callable[[str], None]) -> bool:
    command = dying_with_us([sys.executable, "-m", "twin", "elastic", story.name, *options])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101 we asked for it
        for line in process.stdout:
            say(f"{story.name:<22}{line.rstrip()}")
    return process.returncode == 0


def play(story: Story, *, folder: Path, templates: Path, speed: float, say: Callable[[str], None]) -> bool:
    """Play a story and write `NAME.json`; return whether its promises held.

    It has what `Stage.told` says, and `story`, `sentence`, `templates` (the profile), `speed`, `replays` (whether
    encodings were replayed), `machine_processors`, and `took_seconds` by the machine's clock.

    Raises CannotRun, and Refused for templates that the twin does not know how to act on.
    """
    say(f"{story.name}: {story.sentence}")
    speed = 1 if story.encodes else speed
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
                replays=not story.encodes,
                write=lambda name, line: _write(log, name, line),
            ) as world,
            running_stage(world, assembly, say=say) as stage,
        ):
            story.play(stage)
            told = stage.told()
    told |= {"story": story.name, "sentence": story.sentence, "templates": templates.name, "speed": speed}
    told |= {"replays": not story.encodes}
    told |= {"machine_processors": os.cpu_count(), "took_seconds": round(time.monotonic() - began)}
    _keep(told, folder)
    say(f"{write_page(folder)}")
    return _verdict(stage, say)


def _keep(told: dict[str, Any], folder: Path) -> None:
    raw = json.dumps(told, indent=1, ensure_ascii=False)
    draft = folder / f"{told['story']}.draft"
    draft.write_text(raw + "\n", encoding="utf-8")
    draft.replace(draft.with_suffix(".json"))  # others read it for the page meanwhile
    draw(json.loads(raw), draft.with_suffix(".png"))


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
        clip.parent.mkdir(parents=True, exist_ok=True)
        draft = make_sample(clip.with_name("draft.mp4"), seconds=20.5, audio=False, grain=0, kilobits_per_second=600)
        draft.replace(clip)
    return clip
