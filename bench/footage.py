"""The first seconds of a clip, encoded as the worker does and compared with the best that could come of them."""

import json
import resource
import subprocess
import tempfile
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import imageio_ffmpeg

from anb_worker import encoding, sandbox
from anb_worker.encoding import Quality
from anb_worker.processing import encode_body
from bench.figures import percentile

EXCERPT_SECONDS = 5
# 64 dB from lossless, which the profile forbids: that moves a VMAF of 90 by 0.05
REFERENCE = Quality(preset="ultrafast", crf=1, tuning="qp=1", scaler="lanczos+accurate_rnd+full_chroma_int")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What came of a clip; VMAF and SSIM are of the whole picture, watermark and bars included."""

    clip: str
    reference: str  # tells whether it was compared with the same picture as another
    quality: Quality
    vmaf: float  # the frames' harmonic mean
    vmaf_p5: float  # 5 per cent of the frames have less
    ssim: float  # the frames' mean, of the brightness, as libvmaf computes it
    frames: int
    size_bytes: int
    cpu_seconds: tuple[float, ...]  # user and system time of all that encoding starts, for each run


class Excerpt:
    """The first EXCERPT_SECONDS of a clip without its sound, and the reference; both lie in a folder."""

    def __init__(self, clip: Path, folder: Path) -> None:
        self.name = clip.stem
        self.source, self._reference = folder / f"{clip.stem}.mp4", folder / f"{clip.stem}-reference.mp4"
        cut = ("-map", "0:v:0", "-c", "copy", "-t", str(EXCERPT_SECONDS), "-f", "mp4", str(self.source))
        _ffmpeg("-i", str(clip), *cut, folder=folder)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            self._encode(REFERENCE, Path(name))
            (Path(name) / encoding.BODY).replace(self._reference)
        self.reference = sha256(self._reference.read_bytes()).hexdigest()[:16]

    def measure(self, quality: Quality) -> Measurement:
        """Encode it once and compare."""
        with tempfile.TemporaryDirectory(dir=self.source.parent) as name:
            folder = Path(name)
            cpu_seconds = self._encode(quality, folder)
            frames = self._compare(folder / encoding.BODY)
            size_bytes = (folder / encoding.BODY).stat().st_size
        vmaf = [frame["vmaf"] for frame in frames]
        return Measurement(
            clip=self.name,
            reference=self.reference,
            quality=quality,
            # As libvmaf pools it: a frame may have 0
            vmaf=round(len(vmaf) / sum(1 / (score + 1) for score in vmaf) - 1, 3),
            vmaf_p5=round(percentile(vmaf, 5), 3),
            ssim=round(sum(frame["float_ssim"] for frame in frames) / len(frames), 5),
            frames=len(frames),
            size_bytes=size_bytes,
            cpu_seconds=(round(cpu_seconds, 3),),
        )

    def cpu_seconds(self, quality: Quality) -> float:
        """Encode it once more."""
        with tempfile.TemporaryDirectory(dir=self.source.parent) as name:
            return self._encode(quality, Path(name))

    def _encode(self, quality: Quality, folder: Path) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        encode_body(partial(sandbox.run, folder=folder), folder, self.source, quality=quality)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def scores(self, body: Path) -> list[float]:
        """Return the VMAF of each frame of a body of the excerpt that somebody else encoded."""
        return [frame["vmaf"] for frame in self._compare(body)]

    def scores_of_the_worker(self) -> list[float]:
        """Return the VMAF of each frame of a body that the worker encodes."""
        with tempfile.TemporaryDirectory(dir=self.source.parent) as name:
            self._encode(encoding.QUALITY, Path(name))
            return self.scores(Path(name) / encoding.BODY)

    def _compare(self, body: Path) -> list[dict[str, float]]:
        inputs = ("-i", body.name, "-i", str(self._reference))
        vmaf = "[0][1]libvmaf=n_threads=1:feature=name=float_ssim:log_fmt=json:log_path=scores.json"
        _ffmpeg(*inputs, "-filter_complex", vmaf, "-f", "null", "-", folder=body.parent)
        return [frame["metrics"] for frame in json.loads((body.parent / "scores.json").read_text())["frames"]]


def _ffmpeg(*arguments: str, folder: Path) -> None:
    words = ("-v", "error", "-nostdin", "-y", *arguments)
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *words], cwd=folder, check=True)
