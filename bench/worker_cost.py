"""Measure what processing a clip costs, against the least that ffmpeg alone can do it for.

Each round runs both on the same clip, one after the other, so that a busy machine slows both down; the ratio
is that of one round. CPU seconds are user and system time of the process and everything it started. The
table goes to the terminal and, between two markers, into docs/performance.md.

Usage: make bench-worker, or python -m bench.worker_cost [--rounds 3] [--clip NAME ...]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

import imageio_ffmpeg

from anb_worker.encoding import BODY_SECONDS, ENCODER_FLAGS, FRAME_RATE, HEIGHT, WIDTH
from bench import report as performance_page
from local.samples import make_sample

ROOT = Path(__file__).parents[1]

CLIPS = ROOT / "build" / "bench"
HIGHEST_RATIO, MOST_MEGABYTES = 1.05, 600  # what we promise ourselves
SAMPLING_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process and everything it started used; memory is resident, in megabytes."""

    cpu_seconds: float
    largest_mb: float  # of the largest process
    together_mb: float  # of all processes at one moment, pages that they share counted for each


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A clip to measure with; `same_work` is False where bare ffmpeg leaves something out that we must do."""

    title: str
    width: int
    height: int
    seconds: int
    fps: int = 30
    codec: Literal["h264", "hevc"] = "h264"
    hdr: bool = False
    kilobits_per_second: int | None = None
    same_work: bool = True

    def write(self, path: Path) -> None:
        make_sample(
            path,
            width=self.width,
            height=self.height,
            seconds=self.seconds,
            fps=self.fps,
            codec=self.codec,
            hdr=self.hdr,
            kilobits_per_second=self.kilobits_per_second,
            grain=14 if self.fps == 30 else 8,
            # What a phone's encoder would do; at 4K that takes too long
            preset="veryfast" if self.fps == 30 else "ultrafast",
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """One clip: medians over the rounds, the worst for memory."""

    sample: Sample
    source_mb: float
    bare_seconds: float
    worker_seconds: float
    ratios: Sequence[float]
    largest_mb: float
    together_mb: float

    @property
    def ratio(self) -> float:
        """The median ratio of a round."""
        return median(self.ratios)

    @property
    def meets_targets(self) -> bool:
        """Whether it is cheap enough, where that can be compared, and small enough."""
        cheap = self.ratio <= HIGHEST_RATIO or not self.sample.same_work
        return cheap and self.together_mb < MOST_MEGABYTES


SAMPLES = {
    "1080p30-50mb": Sample(
        title="1080p30, 60 s, 50 MB", width=1920, height=1080, seconds=60, kilobits_per_second=6_500
    ),
    "1080p30-100mb": Sample(
        title="1080p30, 60 s, 100 MB", width=1920, height=1080, seconds=60, kilobits_per_second=13_000
    ),
    "portrait": Sample(
        title="portrait 1080x1920, 60 s", width=1080, height=1920, seconds=60, kilobits_per_second=6_500
    ),
    "4k60": Sample(title="4K60 H.264, 32 s", width=3840, height=2160, fps=60, seconds=32, kilobits_per_second=24_000),
    "4k60-hdr": Sample(
        title="4K60 HEVC 10-bit HDR, 5 s",
        width=3840,
        height=2160,
        fps=60,
        seconds=5,
        codec="hevc",
        hdr=True,
        same_work=False,
    ),
}


def main() -> int:
    arguments = _arguments()
    results = []
    for name in arguments.clip:
        print(f"{SAMPLES[name].title} …", file=sys.stderr, flush=True)
        results.append(measure(SAMPLES[name], source(name), arguments.rounds))
        print(row(results[-1]), file=sys.stderr, flush=True)
    table = report(results, rounds=arguments.rounds)
    print(table)
    if set(arguments.clip) == set(SAMPLES):
        performance_page.replace("bench-worker", table)
    missed = [result.sample.title for result in results if not result.meets_targets]
    for title in missed:
        print(f"{title}: not within {HIGHEST_RATIO} times bare ffmpeg and {MOST_MEGABYTES} MB", file=sys.stderr)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what processing a clip costs.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", action="append", choices=SAMPLES, help="only these; the report stays as it is")
    arguments = parser.parse_args()
    arguments.clip = arguments.clip or list(SAMPLES)
    return arguments


def source(name: str) -> Path:
    """The clip of that name, made on first use."""
    clip = CLIPS / f"{name}.mp4"
    if not clip.exists():
        CLIPS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CLIPS) as folder:
            SAMPLES[name].write(Path(folder) / clip.name)
            (Path(folder) / clip.name).replace(clip)
    return clip


def measure(sample: Sample, clip: Path, rounds: int) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        pairs = [(run(bare(clip, Path(folder))), run(worker(clip, Path(folder)))) for _ in range(rounds)]
    return Result(
        sample=sample,
        source_mb=clip.stat().st_size / 1e6,
        bare_seconds=median(floor.cpu_seconds for floor, _ in pairs),
        worker_seconds=median(whole.cpu_seconds for _, whole in pairs),
        ratios=[whole.cpu_seconds / floor.cpu_seconds for floor, whole in pairs],
        largest_mb=max(whole.largest_mb for _, whole in pairs),
        together_mb=max(whole.together_mb for _, whole in pairs),
    )


def bare(clip: Path, folder: Path) -> list[str]:
    """The least that gives 30 seconds at 720p: no watermark, no bumpers, no checks, no thumbnail."""
    # Asked for a colour space, ffmpeg would convert an untagged clip to it, which costs as much as the scaling
    colours = ENCODER_FLAGS.index("-color_range")
    flags = (*ENCODER_FLAGS[:colours], "-r", str(FRAME_RATE))
    fit = f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=decrease,pad={WIDTH}:{HEIGHT}:-1:-1"
    words = ["-v", "error", "-nostdin", "-y", "-t", str(BODY_SECONDS), "-i", str(clip), "-an", "-vf", fit]
    return [imageio_ffmpeg.get_ffmpeg_exe(), *words, *flags, str(folder / "bare.mp4")]


def worker(clip: Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "anb_worker", "process", str(clip), str(folder / "worker.mp4")]


def run(command: Sequence[str]) -> Usage:
    """Run a command to its end; what it used, by the kernel's own account."""
    child = subprocess.Popen(command)
    together = _Together(child.pid)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return Usage(
        cpu_seconds=used.ru_utime + used.ru_stime,
        largest_mb=used.ru_maxrss * 1024 / 1e6,
        together_mb=together.peak_mb(),
    )


class _Together(threading.Thread):
    """Looks again and again at how much memory a process and its descendants hold at one moment."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._peak_bytes, self._over = pid, 0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(SAMPLING_SECONDS):
            self._peak_bytes = max(self._peak_bytes, sum(map(_resident_bytes, _family(self._pid))))

    def peak_mb(self) -> float:
        self._over.set()
        self.join()
        return self._peak_bytes / 1e6


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return []
    return [pid, *(member for child in children for member in _family(int(child)))]


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


# --- the report -------------------------------------------------------------------------------------------


def report(results: Sequence[Result], *, rounds: int) -> str:
    lines = [
        (
            f"Measured on {datetime.now(UTC):%Y-%m-%d} with `make bench-worker` ({rounds} rounds):"
            f" {performance_page.machine()}."
        ),
        "",
        "| clip (synthetic) | MB | bare ffmpeg, CPU s | worker, CPU s | ratio (rounds) | RSS, MB | sum, MB |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    return "\n".join([*lines, *map(row, results)])


def row(result: Result) -> str:
    rounds = ", ".join(f"{ratio:.3f}" for ratio in result.ratios)
    return (
        f"| {result.sample.title} | {result.source_mb:.0f} | {result.bare_seconds:.1f} |"
        f" {result.worker_seconds:.1f} | **{result.ratio:.3f}** ({rounds}) | {result.largest_mb:.0f} |"
        f" {result.together_mb:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
