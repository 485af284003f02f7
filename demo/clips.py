"""The files that the demo's players send: videos of several shapes, and some that nobody should accept.

Usage: python -m demo.clips FOLDER, which makes all of them. A file appears whole or not at all.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

import click
import imageio_ffmpeg

from demo.samples import make_sample
from local import parent_death
from local.errors import CannotRun

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2  # the first is sent while the others are made


class Outcome(Enum):
    """What is to come of a file."""

    PROCESSED = "processed"
    REFUSED = "refused"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file to send, and what is to come of it."""

    name: str
    title: str
    make: Callable[[Path], object]
    outcome: Outcome = Outcome.PROCESSED
    reason: str = ""
    """A part of the sentence with which it is refused or fails."""
    direct: bool = False
    """Whether it goes straight to the object store."""

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.mp4"


class SamplesFailed(CannotRun):
    """The sample files could not be made."""


def _video(**shape: object) -> Callable[[Path], object]:
    return partial(make_sample, **{"grain": 1, **shape})  # type: ignore[arg-type] # as make_sample declares them


def _phone_video(path: Path) -> None:
    """45 seconds as a telephone stores them: lying on their side, with a note how to turn them."""
    with tempfile.TemporaryDirectory(prefix="phone-") as folder:
        upright = make_sample(Path(folder) / "upright.mp4", width=1080, height=1920, seconds=15, grain=1)
        subprocess.run(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"),
                *("-noautorotate", "-display_rotation:v", "270"),
                *("-stream_loop", "-1", "-i", f"file:{upright}"),  # drawing it is what takes long
                *("-vf", "transpose=cclock", "-preset", "ultrafast", "-c:a", "copy", "-t", "45", f"file:{path}"),
            ],
            check=True,
            timeout=600,
        )


def _text(path: Path) -> None:
    path.write_text("Esto no es un video.\n" * 100)


_still = _video(seconds=22, fps=5)  # few pictures a second are fast to make


def _truncated(path: Path) -> None:
    """The first two thirds of a video."""
    _still(path)
    os.truncate(path, path.stat().st_size * 2 // 3)


def _damaged(path: Path) -> None:
    """A video whose index is right and whose pictures are zeros."""
    _still(path)
    content = path.read_bytes()
    begin, end = content.index(b"mdat") + 4, content.rindex(b"moov") - 4
    path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])


SAMPLES = (
    Sample(name="landscape-1080p", title="Mi mejor tiro de 3", make=_video(seconds=30)),
    Sample(name="square-1080", title="Habilidades de dribleo", make=_video(width=1080, seconds=20, fps=25)),
    Sample(name="ultrawide-2560x1080", title="Cancha completa", make=_video(width=2560, seconds=20, fps=24)),
    Sample(name="hevc-1080p", title="Bandeja a una mano", make=_video(seconds=20, codec="hevc", fps=24)),
    Sample(name="landscape-60fps", title="Crossover en cámara rápida", make=_video(seconds=20, fps=60)),
    Sample(name="portrait-phone", title="Triple desde la esquina", make=_phone_video, direct=True),
    Sample(
        name="too-short",
        title="Un solo tiro",
        make=_video(seconds=12, fps=5),
        outcome=Outcome.REFUSED,
        reason="dura 12,0 segundos",
    ),
    Sample(
        name="too-small-720p",
        title="Video antiguo",
        make=_video(width=1280, height=720, seconds=22, fps=5),
        outcome=Outcome.REFUSED,
        reason="1280x720",
    ),
    Sample(name="renamed-text", title="Mis notas", make=_text, outcome=Outcome.REFUSED, reason="no es un video MP4"),
    Sample(
        name="truncated",
        title="Subida a medias",
        make=_truncated,
        outcome=Outcome.REFUSED,
        reason="incompleto",
    ),
    Sample(name="damaged", title="Memoria dañada", make=_damaged, outcome=Outcome.FAILED, reason="dañado"),
    Sample(name="withdrawn", title="Subido por error", make=_still, outcome=Outcome.WITHDRAWN),
)


@contextmanager
def being_made(folder: Path, *, temporary: Path, log: Path) -> Iterator[Callable[[Sample], bool]]:
    """Have all samples made in `folder` while the block runs; what it gets tells whether one is there.

    That raises SamplesFailed when they cannot be made. Unfinished files go to `temporary`, error messages to `log`.
    """
    with log.open("wb") as errors:
        maker = subprocess.Popen(
            parent_death.dying_with_us([sys.executable, "-m", "demo.clips", str(folder)]),
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )

    def is_there(sample: Sample) -> bool:
        if maker.poll():
            raise SamplesFailed(f"the sample videos could not be made; {log} says why")
        return (folder / sample.file).exists()

    try:
        yield is_there
    finally:
        if maker.poll() is None:
            os.killpg(maker.pid, signal.SIGKILL)
            maker.wait()


def _make(sample: Sample, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sample-") as draft:
        sample.make(Path(draft) / sample.file)
        shutil.copyfile(Path(draft) / sample.file, folder / f"{sample.file}.new").rename(folder / sample.file)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def make_all(folder: Path) -> None:
    """Make all samples in FOLDER, in their order; SIGTERM ends the whole session, with every ffmpeg in it."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(_make, sample, folder) for sample in SAMPLES]:
            done.result()


if __name__ == "__main__":
    make_all()
