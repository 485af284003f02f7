"""Judges a processed video from outside, by what the contest promises.

The numbers are stated here again rather than taken from the worker: a check must not move with what it checks.
"""

import re
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg

from anb.errors import Invalid
from anb.mp4 import Clip, read_clip

WIDTH, HEIGHT = 1280, 720
FRAMES_PER_SECOND = 30
MAX_BODY_SECONDS, MAX_SECONDS = 30, 35
BUMPER_SECONDS = 2.5  # each of the two


@dataclass(frozen=True, kw_only=True)
class _Playback:
    """What ffmpeg says about a file while it reads all of it."""

    headers: dict[str, str]  # of framemd5: "tb 0" is the length of a tick, "sar 0" the shape of a pixel
    rows: list[list[int]]
    """Decoding time, showing time and duration of each packet or frame."""
    pixel_format: str
    problems: list[str]


def read_file(path: Path) -> Clip:
    """What the index of a file says; raises Invalid for a file that is no whole video."""
    with path.open("rb") as file:
        return read_clip(file, size_bytes=path.stat().st_size)


def expected_frames(source: Clip) -> int:
    """How many frames a source has once it is cut and between its bumpers."""
    seconds = min(source.duration_seconds, MAX_BODY_SECONDS) + 2 * BUMPER_SECONDS
    return round(seconds * FRAMES_PER_SECOND)


def find_problems(path: Path, *, frames: int) -> list[str]:
    """What keeps a file from being the processed video of that many frames; empty when it is all right."""
    try:
        clip = read_file(path)
    except (Invalid, OSError) as error:
        return [f"it cannot be read: {error}"]
    return [*_index_problems(clip, frames=frames), *_timing_problems(path), *_picture_problems(path, clip)]


def _index_problems(clip: Clip, *, frames: int) -> list[str]:
    found = []
    if (clip.width, clip.height) != (WIDTH, HEIGHT):
        found.append(f"it is {clip.width}x{clip.height} and not {WIDTH}x{HEIGHT}")
    if clip.codec != "h264":
        found.append(f"it is {clip.codec} and not h264")
    if clip.tracks != 1:
        found.append(f"it has {clip.tracks} tracks where only the picture should be")
    if not clip.index_first:
        found.append("its index comes after the pictures, so that it plays only once all of it has arrived")
    if clip.duration_seconds > MAX_SECONDS:
        found.append(f"it lasts {clip.duration_seconds:.3f} s, more than {MAX_SECONDS}")
    if clip.frames != frames:
        found.append(f"it has {clip.frames} frames and not {frames}")
    return found


def _timing_problems(path: Path) -> list[str]:
    """Whether each frame lasts as long as any other and follows at once; told from the packets, undecoded."""
    played = _play(path, "-map", "0:v:0", "-c", "copy")
    if not played.rows:
        return ["none of its frames can be read"]
    ticks_per_second = int(played.headers["tb 0"].split("/")[1])
    due = {ticks_per_second / FRAMES_PER_SECOND}
    decoded, shown, durations = zip(*played.rows, strict=True)
    found = {
        "durations of its frames": set(durations),
        "steps from one frame to the next": _steps(shown),
        "steps of its decoding times": _steps(decoded),
    }
    return [
        f"the {what} are not all 1/{FRAMES_PER_SECOND} s, but {sorted(values)} of {ticks_per_second} ticks"
        for what, values in found.items()
        if values != due
    ]


def _steps(times: tuple[int, ...]) -> set[int]:
    return {later - earlier for earlier, later in pairwise(sorted(times))}


def _picture_problems(path: Path, clip: Clip) -> list[str]:
    """What a decoder notices."""
    played = _play(path, "-xerror", "-map", "0:v:0")
    found = [f"the decoder says: {problem}" for problem in played.problems[:3]]
    if played.headers.get("sar 0") != "1/1":
        found.append(f"its pixels are {played.headers.get('sar 0')} and not square")
    if played.pixel_format != "yuv420p":
        found.append(f"its pixels are {played.pixel_format} and not yuv420p")
    if len(played.rows) != clip.frames:
        found.append(f"{len(played.rows)} of its {clip.frames} frames can be decoded")
    return found


def _play(path: Path, *options: str) -> _Playback:
    """Read all of a file; packets with `-c copy` among the options, pictures without."""
    done = subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-v", "level+info"),
            *("-i", f"file:{path}", *options, "-fps_mode", "passthrough", "-f", "framemd5", "-"),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    pixels = re.search(r"Stream #0:0.*Video: .*?, (\w+)[(,]", done.stderr)
    return _Playback(
        headers=dict(line[1:].split(": ", 1) for line in lines if line.startswith("#") and ": " in line),
        rows=[[int(field) for field in line.split(",")[1:4]] for line in lines if not line.startswith("#")],
        pixel_format=pixels[1] if pixels else "unknown",
        problems=re.findall(r".*\[(?:warning|error|fatal|panic)\] (.*)", done.stderr),
    )
