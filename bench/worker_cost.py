"""What does processing a clip cost, against the least that ffmpeg alone can do it for?

Each round runs both on the same clip at the same time, each on a processor of its own, so that whatever else the
machine does slows both; after each round they change places. CPU seconds are user and system time of the process and
everything it started.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import imageio_ffmpeg

from anb_worker.encoding import BODY_SECONDS, ENCODER_FLAGS, FRAME_RATE, HEIGHT, QUALITY, WIDTH
from bench.clips import CLIPS, Clip
from bench.figures import Rounds
from bench.report import CannotMeasure, Report, table
from local import processes

MAX_RATIO, MAX_MEGABYTES = 1.05, 600  # what we promise ourselves
ROUNDS = 4  # even, so that each side has each processor as often as the other
SAMPLING_SECONDS = 0.05
HEADINGS = (
    "clip (synthetic)",
    "MB",
    "bare ffmpeg, CPU s",
    "worker, CPU s",
    "ratio (rounds)",
    "RSS, MB",
    "sum, MB",
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process and everything it started used; memory is resident, in megabytes."""

    cpu_seconds: float
    largest_mb: float  # of the largest process
    together_mb: float  # of all processes at one moment, pages that they share counted for each


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one clip took: CPU seconds of the worker and of bare ffmpeg in each round, the worst for memory."""

    clip: Clip
    source_mb: float
    rounds: Rounds
    largest_mb: float
    together_mb: float

    @property
    def meets_limits(self) -> bool:
        """Whether it is cheap enough, where that can be compared, and small enough."""
        cheap = self.rounds.ratio <= MAX_RATIO or not self.clip.same_work
        return cheap and self.together_mb < MAX_MEGABYTES

    def to_row(self) -> tuple[str, ...]:
        """Return it for the table."""
        worker, bare = self.rounds.medians
        ratios = ", ".join(f"{ratio:.3f}" for ratio in self.rounds.ratios)
        return (
            self.clip.title,
            f"{self.source_mb:.0f}",
            f"{bare:.1f}",
            f"{worker:.1f}",
            f"**{self.rounds.ratio:.3f}** ({ratios})",
            f"{self.largest_mb:.0f}",
            f"{self.together_mb:.0f}",
        )


def measure(*, quick: bool) -> Report:
    """Answer for every clip; quick: for the shortest."""
    rounds, costs = 1 if quick else ROUNDS, []
    for clip in CLIPS[-1:] if quick else CLIPS:
        costs.append(_cost(clip, rounds=rounds))
        click.echo(" | ".join(costs[-1].to_row()), err=True)
    return Report(
        conditions=f"{rounds} rounds",
        text=table(HEADINGS, (cost.to_row() for cost in costs)),
        missed=[
            f"{cost.clip.title} not within {MAX_RATIO} times bare ffmpeg and {MAX_MEGABYTES} MB"
            for cost in costs
            if not cost.meets_limits
        ],
        figures=costs,
    )


def _cost(clip: Clip, *, rounds: int) -> Cost:
    source, processors = clip.file(), sorted(os.sched_getaffinity(0))[:2]
    if len(processors) < 2:
        raise CannotMeasure("this takes two processors")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        commands = (_bare(source, folder), _worker(source, folder))
        pairs = [_at_once(commands, processors[:: -1 if number % 2 else 1]) for number in range(rounds)]
    return Cost(
        clip=clip,
        source_mb=source.stat().st_size / 1e6,
        rounds=Rounds([(worker.cpu_seconds, bare.cpu_seconds) for bare, worker in pairs]),
        largest_mb=max(worker.largest_mb for _, worker in pairs),
        together_mb=max(worker.together_mb for _, worker in pairs),
    )


def _bare(source: Path, folder: Path) -> list[str]:
    """Return the least that gives 30 seconds at 720p: no watermark, no bumpers, no checks, no thumbnail."""
    # Asked for a colour space, ffmpeg would convert an untagged clip to it, which costs as much as the scaling
    colours = ENCODER_FLAGS.index("-color_range")
    flags = (*ENCODER_FLAGS[:colours], "-r", str(FRAME_RATE))
    scale = f"scale={WIDTH}:{HEIGHT}:flags={QUALITY.scaler}:force_original_aspect_ratio=decrease"
    fit = f"{scale},pad={WIDTH}:{HEIGHT}:-1:-1"
    words = ["-v", "error", "-nostdin", "-y", "-t", str(BODY_SECONDS), "-i", str(source), "-an", "-vf", fit]
    return [imageio_ffmpeg.get_ffmpeg_exe(), *words, *flags, str(folder / "bare.mp4")]


def _worker(source: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "anb_worker", "process", str(source), str(folder / "worker.mp4")]


def _at_once(commands: tuple[Sequence[str], Sequence[str]], processors: Sequence[int]) -> tuple[Usage, Usage]:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(_run, commands, processors)
    return one, other


def _run(command: Sequence[str], processor: int) -> Usage:
    """Run a command to its end on that processor; return what it used, by the kernel's own account."""
    child = subprocess.Popen(command)
    os.sched_setaffinity(child.pid, {processor})

    def resident_bytes() -> int:
        return sum(map(processes.resident_bytes, processes.family(child.pid)))

    with processes.sampling(resident_bytes, every_seconds=SAMPLING_SECONDS) as held:
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise CannotMeasure(f"{' '.join(command)} ended with {child.returncode}")
    return Usage(
        cpu_seconds=used.ru_utime + used.ru_stime,
        largest_mb=used.ru_maxrss * 1024 / 1e6,
        together_mb=max(held) / 1e6,
    )
