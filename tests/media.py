"""Small videos, what the media step makes of them, and the pixels in it."""

import struct
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


def append_box(path, inside, kind, payload):
    """Put a box at the end of another one, to which `inside` leads, in a file whose index comes last."""
    data, at, starts = bytearray(path.read_bytes()), 0, []
    for name in inside:
        at = data.index(name.encode(), at) - 4
        starts.append(at)
        at += 8
    added = struct.pack(">I4s", 8 + len(payload), kind) + payload
    end = starts[-1] + struct.unpack_from(">I", data, starts[-1])[0]
    for start in starts:
        struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + len(added))
    data[end:end] = added
    path.write_bytes(data)


def with_edits(path, *edits):
    """Give the first track an edit list: seconds that are shown, and from when on; None shows nothing."""
    data = path.read_bytes().replace(b"edts", b"free", 1)
    path.write_bytes(data)
    movie_clock, media_clock = (
        struct.unpack_from(">I", data, data.index(kind) + 16)[0] for kind in (b"mvhd", b"mdhd")
    )
    rows = b"".join(
        struct.pack(
            ">IiI", round(seconds * movie_clock), -1 if start is None else round(start * media_clock), 1 << 16
        )
        for seconds, start in edits
    )
    edit_list = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(edits)) + rows
    append_box(path, ("moov", "trak"), b"edts", edit_list)
    return path
