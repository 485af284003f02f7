"""The clips that are measured with, all of them synthetic."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from local.samples import make_sample

KEPT = Path(__file__).resolve().parents[1] / "build" / "bench"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A telephone's clip; `same_work` is False where bare ffmpeg leaves something out that we must do."""

    title: str
    width: int = 1920
    height: int = 1080
    seconds: int = 60
    fps: int = 30
    codec: Literal["h264", "hevc"] = "h264"
    hdr: bool = False
    kilobits_per_second: int | None = 6_500
    same_work: bool = True

    def file(self) -> Path:
        """Return the file, which is made on first use."""
        path = KEPT / f"{self.title.replace(', ', '-').replace(' ', '-')}.mp4"
        if not path.exists():
            KEPT.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=KEPT) as folder:
                self._write(Path(folder) / path.name).replace(path)
        return path

    def _write(self, path: Path) -> Path:
        # What a telephone's encoder would do; at 4K that takes too long
        grain, preset = (14, "veryfast") if self.fps == 30 else (8, "ultrafast")
        return make_sample(
            path,
            width=self.width,
            height=self.height,
            seconds=self.seconds,
            fps=self.fps,
            codec=self.codec,
            hdr=self.hdr,
            kilobits_per_second=self.kilobits_per_second,
            grain=grain,
            preset=preset,
        )


FULL_HD = Clip(title="1080p30, 60 s, 50 MB")
CLIPS = (
    FULL_HD,
    Clip(title="1080p30, 60 s, 100 MB", kilobits_per_second=13_000),
    Clip(title="portrait 1080x1920, 60 s", width=1080, height=1920),
    Clip(title="4K60 H.264, 32 s", width=3840, height=2160, fps=60, seconds=32, kilobits_per_second=24_000),
    Clip(
        title="4K60 HEVC 10-bit HDR, 5 s",
        width=3840,
        height=2160,
        fps=60,
        seconds=5,
        codec="hevc",
        hdr=True,
        kilobits_per_second=None,
        same_work=False,
    ),
)


def free_box(size_bytes: int) -> bytes:
    """Return padding that the boxes of an MP4 declare."""
    return size_bytes.to_bytes(4, "big") + b"free" + bytes(size_bytes - 8)
