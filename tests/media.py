"""Small videos, what the media step makes of them, and the pixels in it."""

import subprocess

import imageio_ffmpeg
import numpy as np

from anb.mp4 import read_clip
from anb_worker import encoding
from anb_worker.processing import process

BUMPER_FRAMES = round(encoding.BUMPER_SECONDS * encoding.FRAME_RATE)
FIRST_BODY_FRAME = BUMPER_FRAMES


def ffmpeg(*arguments, folder=None):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder)


def read(path):
    with path.open("rb") as file:
        return read_clip(file, size_bytes=path.stat().st_size)


def picture(path, frame):
    """One frame as an array of rows, columns and RGB."""
    select = f"select=eq(n\\,{frame})"
    raw = ffmpeg("-i", path, "-vf", select, "-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "rgb24", "-").stdout
    return np.frombuffer(raw, np.uint8).reshape(encoding.HEIGHT, encoding.WIDTH, 3).astype(int)


class Run:
    """Processes a file; the result is in `output` and `thumbnail`."""

    def __init__(self, folder):
        self.output, self.thumbnail, self.scratch = (folder / name for name in ("out.mp4", "out.jpg", "scratch"))
        self.scratch.mkdir()

    def __call__(self, source, *, progress=lambda _: None, cancelled=lambda: False):
        return process(
            source,
            self.output,
            thumbnail=self.thumbnail,
            scratch=self.scratch,
            progress=progress,
            cancelled=cancelled,
        )
