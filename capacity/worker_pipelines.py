"""The worker beside the pipeline that teams usually write, on the same clips, by turns.

The usual one is a program for each wish, every one of them with the encoder's defaults: cut, scale, watermark, join
with the bumpers. That is what moviepy does as well, whose pictures pass through Python on top of it. It is granted
the same ffmpeg, the same picture and the same bumpers.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from anb_worker.encoding import (
    BODY_SECONDS,
    BUMPER_SECONDS,
    FRAME_RATE,
    HEIGHT,
    INTRO,
    LOGO,
    LOGO_MARGIN,
    OUTRO,
    WIDTH,
)
from anb_worker.processing import BRANDING
from bench.footage import EXCERPT_SECONDS, Excerpt
from capacity.machine import describe
from capacity.process_tree import child_cpu_seconds

USUAL_FILE = "usual.mp4"
_FIT = (
    f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=decrease,pad={WIDTH}:{HEIGHT}:(ow-iw)/2:(oh-ih)/2,setsar=1"
)


def compare(clip: Path, *, rounds: int) -> dict[str, Any]:
    """Return the raw data of both pipelines on a clip: seconds, bytes, and the VMAF of frames."""
    with tempfile.TemporaryDirectory(prefix="capacity-") as name:
        folder = Path(name)
        found = [_round(clip, folder, worker_first=bool(number % 2)) for number in range(rounds)]
        return {
            "machine": describe(),
            "rounds": found,
            "anatomy": [anatomy(clip) for _ in range(rounds)],
            "vmaf": _vmaf(clip, folder),
        }


def _round(clip: Path, folder: Path, *, worker_first: bool) -> dict[str, dict[str, float]]:
    sides = {"worker": _worker(clip, folder / "worker.mp4"), "usual": usual(clip, folder)}
    order = ("worker", "usual") if worker_first else ("usual", "worker")
    outputs = {"worker": folder / "worker.mp4", "usual": folder / USUAL_FILE}
    return {side: {**_timed(sides[side]), "output_bytes": outputs[side].stat().st_size} for side in order}


def _timed(programs: Sequence[Sequence[str]]) -> dict[str, float]:
    """Run programs one after the other; return their time and CPU, in seconds."""
    begun, used = time.perf_counter(), child_cpu_seconds()
    for program in programs:
        subprocess.run(program, check=True)
    return {"wall_seconds": time.perf_counter() - begun, "cpu_seconds": child_cpu_seconds() - used}


def _worker(clip: Path, output: Path) -> list[list[str]]:
    return [[sys.executable, "-m", "anb_worker", "process", str(clip), str(output)]]


def usual(clip: Path, folder: Path) -> list[list[str]]:
    """Return the programs that leave the branded clip in the folder as USUAL_FILE."""
    cut, fitted, marked = (str(folder / f"usual-{step}.mp4") for step in ("cut", "fitted", "marked"))
    intro, outro, logo = (str(BRANDING / name) for name in (INTRO, OUTRO, LOGO))
    silent_join = f"[0:v]fps={FRAME_RATE}[a];[1:v]fps={FRAME_RATE}[b];[2:v]fps={FRAME_RATE}[c];[a][b][c]concat=n=3"
    return [
        _ffmpeg("-i", str(clip), "-t", str(BODY_SECONDS), "-c:v", "libx264", "-c:a", "aac", cut),
        _ffmpeg("-i", cut, "-vf", _FIT, "-an", "-c:v", "libx264", fitted),
        _ffmpeg(
            *("-i", fitted, "-i", logo, "-filter_complex", f"overlay=W-w-{LOGO_MARGIN}:{LOGO_MARGIN}"),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", marked),
        ),
        _ffmpeg(
            *("-i", intro, "-i", marked, "-i", outro, "-filter_complex", silent_join),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", str(folder / USUAL_FILE)),
        ),
    ]


def anatomy(clip: Path) -> dict[str, float]:
    """Return the CPU seconds of decoding a body, and of decoding and fitting it."""
    take = ("-threads", "2", "-t", str(BODY_SECONDS), "-i", str(clip), "-an")
    fit = ("-vf", f"fps={FRAME_RATE},{_FIT}")
    return {
        "decode": _timed([_ffmpeg(*take, "-f", "null", "-")])["cpu_seconds"],
        "filter": _timed([_ffmpeg(*take, *fit, "-f", "null", "-")])["cpu_seconds"],
    }


def _vmaf(clip: Path, folder: Path) -> dict[str, list[float]]:
    """Return each frame's VMAF of both, over the first seconds."""
    excerpt = Excerpt(clip, folder)
    for program in usual(excerpt.source, folder):
        subprocess.run(program, check=True)
    body = f"trim=start_frame={round(BUMPER_SECONDS * FRAME_RATE)}:end_frame={_last_frame()},setpts=PTS-STARTPTS"
    shown = folder / "usual-body.mp4"
    # Lossless, so that the comparison adds nothing
    flags = ("-an", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0")
    subprocess.run(_ffmpeg("-i", str(folder / USUAL_FILE), "-vf", body, *flags, str(shown)), check=True)
    return {"worker": excerpt.scores_of_the_worker(), "usual": excerpt.scores(shown)}


def _last_frame() -> int:
    return round((BUMPER_SECONDS + EXCERPT_SECONDS) * FRAME_RATE)


def _ffmpeg(*arguments: str) -> list[str]:
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
