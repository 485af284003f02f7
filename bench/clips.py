"""The clips that are measured with, all of them synthetic."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.samples import make_sample

KEPT = Path(__file__).resolve().parents[1] / "build" / "bench"


@dataclass(frozen=True)
class Clip:
    """A telephone's clip; `same_work` is False where bare ffmpeg leaves something out that we must do."""

    title: str
    sample: Mapping[str, Any]  # what `make_sample` takes
    same_work: bool = True

    @property
    def is_uhd(self) -> bool:
        """Whether every second of it takes long."""
        return self.sample.get("width") == UHD["width"]

    def file(self) -> Path:
        """Return the file, which is made on first use."""
        path = KEPT / f"{self.title.replace(', ', '-').replace(' ', '-')}.mp4"
        if not path.exists():
            KEPT.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=KEPT) as folder:
                make_sample(Path(folder) / path.name, **self.sample).replace(path)
        return path


MINUTE = {"seconds": 60, "grain": 14, "preset": "veryfast", "kilobits_per_second": 6_500}
# What a telephone's encoder would do takes too long at 4K
UHD = {"width": 3840, "height": 2160, "fps": 60, "grain": 8, "preset": "ultrafast"}
FULL_HD = Clip("1080p30, 60 s, 50 MB", MINUTE)
CLIPS = (
    FULL_HD,
    Clip("1080p30, 60 s, 100 MB", {**MINUTE, "kilobits_per_second": 13_000}),
    Clip("portrait 1080x1920, 60 s", {**MINUTE, "width": 1080, "height": 1920}),
    Clip("4K60 H.264, 32 s", {**UHD, "seconds": 32, "kilobits_per_second": 24_000}),
    Clip("4K60 HEVC 10-bit HDR, 5 s", {**UHD, "seconds": 5, "codec": "hevc", "hdr": True}, same_work=False),
)


def free_box(size_bytes: int) -> bytes:
    """Return padding that the boxes of an MP4 declare."""
    return size_bytes.to_bytes(4, "big") + b"free" + bytes(size_bytes - 8)
