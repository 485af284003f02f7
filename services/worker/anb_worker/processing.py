"""Turns a player's clip into the branded one: 720p, at most 35 seconds, no sound, between two bumpers."""

import errno
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Final

import imageio_ffmpeg

from anb import mp4
from anb.errors import Invalid
from anb.mp4 import Clip
from anb_worker import encoding, sandbox, thumbnails
from anb_worker.colours import TONES, Coding, read_coding
from anb_worker.encoding import QUALITY, Quality, Source
from anb_worker.failures import Crashed, Unprocessable
from anb_worker.sandbox import Limits
from anb_worker.tone_mapping import lookup_table

Run = partial[sandbox.Ended]  # of the sandbox, in the folder of the clip

log = logging.getLogger(__name__)

_MENDED: Final = "mended.mp4"
BRANDING: Final = Path(__file__).parent / "branding"

_USUAL_HOLD_FRAMES: Final = 2  # a picture of 15 or more a second

_TIME: Final = re.compile(r" pts_time:(-?[0-9.]+)")
_REPORTING_COMPONENT: Final = re.compile(r"\[(\w[\w,#:/-]*) @ 0x[0-9a-f]+\]")
_UNDECODABLE: Final = "El video está dañado: no se pudo decodificar."
# ffmpeg exits with the low byte of the negative errno: these speak of the machine and not of the file
_MACHINE_TROUBLE: Final = frozenset(
    256 - number
    for number in (
        *(errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE),
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.ENOENT),
    )
)
_STOPPED: Final = 255  # ffmpeg took a signal and left a playable part
_CHAIN_BROKEN: Final = frozenset({126, 127})  # a program of the sandbox could not start the next one


@dataclass(frozen=True, kw_only=True)
class ProcessedClip:
    """What came out: a 1280x720 clip of `frames` at 30 per second, bumpers included."""

    duration_seconds: float
    size_bytes: int
    frames: int


def process(
    source: Path,
    output: Path,
    *,
    thumbnail: Path,
    scratch: Path,
    progress: Callable[[float], None],
    cancelled: Callable[[], bool],
    branding: Path = BRANDING,
    limits: Limits = Limits(),
) -> ProcessedClip:
    """Write the branded clip of `source` to `output` and a picture of it to `thumbnail`; both whole or not at all.

    `progress` gets the part that is done, from 0 to 1; `cancelled` is asked several times a second. What this
    puts into the folder `scratch` is gone when it returns or raises. Raises Unprocessable, Crashed or
    Cancelled, and OSError for a path that is missing or not ours to use.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="clip-") as name:
        folder = Path(name)
        run = partial(sandbox.run, folder=folder, cancelled=cancelled, limits=limits)
        encode_body(run, folder, source, branding=branding, progress=progress)
        joined = _join(run, folder)
        _publish(folder / encoding.THUMBNAIL, thumbnail)
        _publish(folder / encoding.JOINED, output)
    progress(1.0)
    return ProcessedClip(
        duration_seconds=joined.duration_seconds, size_bytes=output.stat().st_size, frames=joined.frames
    )


def encode_body(
    run: Run,
    folder: Path,
    source: Path,
    *,
    quality: Quality = QUALITY,
    branding: Path = BRANDING,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Leave the body of `source` in `folder` as encoding.BODY, and its picture as encoding.THUMBNAIL.

    `run` is the sandbox's in that folder. Raises what `process` does.
    """
    clip = _read_source(source)
    _prepare_folder(folder, source=source, clip=clip, branding=branding)
    expected = max(1, min(encoding.BODY_FRAMES, round(clip.duration_seconds * encoding.FRAME_RATE)))
    hold_frames = round(clip.last_seconds * encoding.FRAME_RATE)
    shown = Source(
        track_id=clip.track_id,
        edits=clip.edits,
        width=clip.width,
        height=clip.height,
        # A picture that is shown in part is not cut off
        frames=min(encoding.BODY_FRAMES, ceil(clip.duration_seconds * encoding.FRAME_RATE)),
        hold_frames=hold_frames if hold_frames > _USUAL_HOLD_FRAMES else 0,
    )
    from_seconds, coding = _inspect(run, clip, shown)
    if coding.is_hdr:
        (folder / TONES).write_text(lookup_table(coding.transfer))
    ended = run(
        _ffmpeg(encoding.body(shown, from_seconds=from_seconds, coding=coding, quality=quality)),
        on_frame=lambda frame: progress(min(frame / expected, 1.0)),
    )
    _raise_for_exit_code(ended)
    held = min(shown.hold_frames, expected - 1)
    if _frames_of(folder / encoding.BODY) < held + (expected - held) / 2:
        # The fps filter fills small holes; this much is missing only where most of the video is unreadable
        raise Unprocessable(_UNDECODABLE)
    chosen = thumbnails.choose((folder / encoding.LOOKS).read_bytes())
    (folder / (encoding.CANDIDATES % chosen)).rename(folder / encoding.THUMBNAIL)


def _read_source(source: Path) -> Clip:
    try:
        return _read(source)
    except Invalid as refusal:
        raise Unprocessable(refusal.message) from refusal


def _read(path: Path) -> Clip:
    with path.open("rb") as file:
        return mp4.read_clip(file, size_bytes=path.stat().st_size)


def _prepare_folder(folder: Path, *, source: Path, clip: Clip, branding: Path) -> None:
    """Give everything that ffmpeg reads the name under which it looks for it."""
    inputs = {encoding.SOURCE: _mended(source, clip, folder / _MENDED)}
    inputs |= {name: branding / name for name in (encoding.LOGO, encoding.INTRO, encoding.OUTRO)}
    for name, path in inputs.items():
        (folder / name).symlink_to(path.resolve(strict=True))
    (folder / encoding.PARTS).write_text(encoding.parts())


def _mended(source: Path, clip: Clip, copy: Path) -> Path:
    """Return the source, or a copy of it where decoders would not understand its samples."""
    with source.open("rb") as file:
        corrections = list(mp4.corrections(file, clip, size_bytes=source.stat().st_size))
    if not corrections:
        return source
    shutil.copyfile(source, copy)
    with copy.open("r+b") as file:
        for position, data in corrections:
            file.seek(position)
            file.write(data)
    return copy


def _inspect(run: Run, clip: Clip, source: Source) -> tuple[float, Coding]:
    """When the first picture is shown, in seconds, and how it is coded; the file's own tag may say otherwise."""
    ended = run(_ffmpeg(encoding.inspection(source)))
    shown = _TIME.search(ended.errors)
    is_hd = max(clip.width, clip.height) >= encoding.WIDTH or min(clip.width, clip.height) >= encoding.HEIGHT
    return float(shown[1]) if shown else 0.0, read_coding(ended.errors, is_hd=is_hd)


def _frames_of(body: Path) -> int:
    try:
        return _read(body).frames
    except Invalid as refusal:  # an MP4 without a sample: nothing could be decoded
        raise Unprocessable(_UNDECODABLE) from refusal


def _join(run: Run, folder: Path) -> Clip:
    parts = [_read(folder / name) for name in (encoding.INTRO, encoding.BODY, encoding.OUTRO)]
    if len({part.configuration for part in parts}) > 1:
        raise Crashed("body and bumpers were encoded differently: run make branding")
    ended = run(_ffmpeg(encoding.join()))
    if ended.code != 0:
        raise Crashed(f"the join ended with {ended.code}, which {_reporting_components(ended)} told")
    joined = _read(folder / encoding.JOINED)
    _verify(joined, frames=sum(part.frames for part in parts))
    return joined


def _verify(clip: Clip, *, frames: int) -> None:
    """Make sure that what we are about to publish is what we promise."""
    promised = {
        "size": ((clip.width, clip.height), (encoding.WIDTH, encoding.HEIGHT)),
        "frames": (clip.frames, frames),
        "milliseconds": (round(clip.duration_seconds * 1000), round(frames * 1000 / encoding.FRAME_RATE)),
        "tracks": (clip.tracks, 1),
        "index first": (clip.index_first, True),
        "short enough": (clip.duration_seconds <= encoding.MAX_SECONDS, True),
    }
    wrong = [f"{name} {found}, not {due}" for name, (found, due) in promised.items() if found != due]
    if wrong:
        raise Crashed(f"the joined clip is not right: {'; '.join(wrong)}")


def _publish(ready: Path, target: Path) -> None:
    """Put a finished file in place at once; scratch may be on another file system."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".anb-") as folder:
        shutil.copyfile(ready, Path(folder) / target.name).replace(target)


def _ffmpeg(arguments: Sequence[str]) -> tuple[str, ...]:
    return (imageio_ffmpeg.get_ffmpeg_exe(), *arguments)


def _raise_for_exit_code(ended: sandbox.Ended) -> None:
    """Tell a file that ffmpeg refuses from a machine that let ffmpeg down."""
    if ended.code == 0:
        return
    if ended.code in _MACHINE_TROUBLE | _CHAIN_BROKEN | {_STOPPED}:
        raise Crashed(f"ffmpeg ended with {ended.code}, which {_reporting_components(ended)} told")
    log.info("ffmpeg refused a file with %d, which %s told", ended.code, _reporting_components(ended))
    raise Unprocessable(_UNDECODABLE)


def _reporting_components(ended: sandbox.Ended) -> str:
    """Return which components of ffmpeg reported errors; what they say may quote the file, which is a player's."""
    return ", ".join(sorted(set(_REPORTING_COMPONENT.findall(ended.errors)))) or "nobody"
