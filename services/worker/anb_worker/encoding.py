"""What ffmpeg is asked to do: the picture that every clip shares, and one argument list per step.

Bumpers are encoded beforehand with the same flags and only stream-copied at run time, so whatever is in
`ENCODER_FLAGS` and `COLOUR_FILTER` decides whether body and bumpers can be joined.
File names are fixed and relative: ffmpeg runs inside a folder where everything it needs lies under a name
that needs no quoting in a filter graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from anb.mp4 import MAX_PIXELS, MAX_TRACKS, Edit
from anb_worker import edits
from anb_worker.colours import Coding, to_bt709
from anb_worker.thumbnails import LOOKS_HEIGHT, LOOKS_WIDTH, STEP_FRAMES

WIDTH, HEIGHT = 1280, 720
FRAME_RATE = 30  # frames per second, constant
BODY_SECONDS = 30  # the longest body; the cut is made in frames
BODY_FRAMES = BODY_SECONDS * FRAME_RATE
BUMPER_SECONDS = 2.5  # each of the two
MAX_SECONDS = 35  # body and both bumpers
LOGO_WIDTH, LOGO_HEIGHT = 150, 78
LOGO_MARGIN = 20  # pixels between the watermark and the top right corner of the picture
THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 640, 360

SOURCE, LOGO, BODY, THUMBNAIL = "source.mp4", "logo.png", "body.mp4", "thumbnail.jpg"
CANDIDATES, LOOKS = "candidate-%d.jpg", "looks.gray"  # for the thumbnail
INTRO, OUTRO, PARTS, JOINED = "intro.mp4", "outro.mp4", "parts.txt", "joined.mp4"

TIMESCALE = 15_360  # ticks per second of the track, what the muxer itself picks for 30 fps
FRAME_TICKS = TIMESCALE // FRAME_RATE

COLOUR_FILTER = (
    # ffmpeg >= 7 writes the frame's own tags to the stream, so an HDR or BT.601 source would get another SPS
    "setparams=field_mode=prog:range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    ":chroma_location=left,"
    # mastering data and captions would travel on as SEI
    "sidedata=mode=delete"
)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What decides how good a clip looks, how large it is and what it costs; `make bench-quality` compares them."""

    preset: str  # of x264
    crf: float
    tuning: str  # further options of x264, as it writes them: name=value, between colons
    scaler: str  # of ffmpeg


# What costs least of that which holds VMAF 93 on real footage within a quarter more bytes: docs/performance.md
QUALITY = Quality(
    preset="veryfast",
    crf=23.6,  # 23.5 takes a little more than that quarter
    # The first spends a little CPU on a lot of detail. The others do not blur what moves for the sake of flat parts
    tuning="trellis=1:aq-strength=0.3:deblock=-1,-1",
    scaler="lanczos",
)


def encoder_flags(quality: Quality) -> tuple[str, ...]:
    """Return what makes the encoder's output; whatever is to be joined needs the same."""
    stitchable = "stitchable=1"  # headers that do not depend on the content
    return (
        *("-c:v", "libx264", "-preset", quality.preset, "-crf", f"{quality.crf:g}"),
        *("-profile:v", "high", "-level:v", "3.1", "-pix_fmt", "yuv420p", "-g", "120", "-threads", "2"),
        *("-x264-params", ":".join(filter(None, (stitchable, quality.tuning)))),
        *("-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-video_track_timescale", str(TIMESCALE)),
        *("-fps_mode", "cfr", "-r", str(FRAME_RATE)),  # closes the hole that a change of resolution leaves
    )


ENCODER_FLAGS = encoder_flags(QUALITY)


# The thread counts do not follow the machine: memory would, and the address space is bounded
_QUIET = ("-hide_banner", "-nostdin", "-nostats", "-y", "-filter_complex_threads", "2")
_REPORTING = ("-v", "error", "-progress", "pipe:1", "-stats_period", "0.5")
_LOCAL_FILES_ONLY = ("-protocol_whitelist", "file")
_DISTRUSTED_SOURCE = (
    *(*_LOCAL_FILES_ONLY, "-f", "mov", "-codec_whitelist", "h264,hevc"),
    *("-max_pixels", str(MAX_PIXELS), "-max_streams", str(MAX_TRACKS)),
    *("-export_side_data", "enhancements"),  # keeps the LCEVC decoder out: CVE-2026-125262
    *("-threads", "2", "-an", "-sn", "-dn"),
)
# Frames that are not flagged as interlaced pass through untouched, at no cost
DEINTERLACING = "bwdif=mode=send_frame:deint=interlaced"
_CANDIDATE = rf"select=not(mod(n\,{STEP_FRAMES}))"
_TO_THE_GRID = (
    # Parts follow each other by their length in rounded milliseconds, up to five ticks off
    f"setts=pts=round(PTS/{FRAME_TICKS})*{FRAME_TICKS}"
    # A part of a frame or two has no B-frames and so starts two frames later than others on the decoder's clock
    f":dts=(N-2)*{FRAME_TICKS}:duration={FRAME_TICKS}"
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which pictures of SOURCE the body shows, in which shape, and how long it holds the last one."""

    track_id: int
    edits: Sequence[Edit]
    width: int  # to `height`, as shown
    height: int
    frames: int  # of the body
    hold_frames: int = 0  # at most

    @property
    def arguments(self) -> tuple[str, ...]:
        """What opens it."""
        return (*_DISTRUSTED_SOURCE, *edits.input_options(self.edits), "-i", f"file:{SOURCE}")

    def pictures(self, *, from_seconds: float) -> str:
        """Return the filters that give them, the one at `from_seconds` first."""
        return f"[0:i:{self.track_id}]{edits.chain(self.edits, from_seconds=from_seconds)}"

    @property
    def cut(self) -> str:
        """Return the filters that leave as many frames as there shall be, of those at the constant rate."""
        # ffmpeg holds the last one itself only if it is also the last to be decoded
        hold = f"tpad=stop={self.hold_frames}:stop_mode=clone," if self.hold_frames else ""
        return f"{hold}trim=end_frame={self.frames}"

    @property
    def logo_scale(self) -> Fraction:
        """How large the watermark and its margin are, so that they fit on the picture."""
        scale = min(Fraction(WIDTH, self.width), Fraction(HEIGHT, self.height))
        across = self.width * scale / (LOGO_WIDTH + LOGO_MARGIN)
        down = self.height * scale / (LOGO_HEIGHT + LOGO_MARGIN)
        return min(Fraction(1), across, down)


def inspection(source: Source) -> tuple[str, ...]:
    """Report the first picture of the body to stderr."""
    return (
        *(*_QUIET, "-v", "info", *source.arguments),
        *("-filter_complex", f"{source.pictures(from_seconds=0)},showinfo[picture]"),
        *("-map", "[picture]", "-frames:v", "1", "-f", "null", "-"),
    )


def body(source: Source, *, from_seconds: float, coding: Coding, quality: Quality) -> tuple[str, ...]:
    """Encode at most BODY_SECONDS of the source to BODY, and candidates for its thumbnail to CANDIDATES and LOOKS.

    `from_seconds` and `coding` are the first picture's time and its colours.
    """
    return (
        *(*_QUIET, *_REPORTING, *source.arguments, "-filter_complex"),
        _body_graph(source, from_seconds=from_seconds, coding=coding, scaler=quality.scaler),
        *("-map", "[video]", *encoder_flags(quality), "-frames:v", str(BODY_FRAMES), "-f", "mp4", f"file:{BODY}"),
        # Not at a constant rate, which would repeat them
        *("-map", "[candidates]", "-map_metadata", "-1", "-fps_mode", "passthrough", "-start_number", "0"),
        *("-c:v", "mjpeg", "-q:v", "3", "-f", "image2", f"file:{CANDIDATES}"),
        *("-map", "[looks]", "-fps_mode", "passthrough", "-f", "rawvideo", f"file:{LOOKS}"),
    )


def join() -> tuple[str, ...]:
    """Copy the streams of the files that PARTS lists, one after the other, to JOINED, index first."""
    return (
        *(*_QUIET, *_REPORTING, *_LOCAL_FILES_ONLY, "-f", "concat", "-safe", "0", "-auto_convert", "0"),
        *("-i", PARTS, "-map", "0:v:0", "-c", "copy", "-bsf:v", _TO_THE_GRID, "-map_metadata", "-1"),
        *("-video_track_timescale", str(TIMESCALE), "-movflags", "+faststart", "-f", "mp4", f"file:{JOINED}"),
    )


def parts() -> str:
    """The content of PARTS."""
    return "".join(f"file '{name}'\n" for name in (INTRO, BODY, OUTRO))


def _body_graph(source: Source, *, from_seconds: float, coding: Coding, scaler: str) -> str:
    scaling = (
        f"scale=w={WIDTH}:h={HEIGHT}:force_original_aspect_ratio=decrease:force_divisible_by=2"
        f":reset_sar=1:flags={scaler}"
    )
    margin = round(LOGO_MARGIN * source.logo_scale)
    return (
        # As an input the logo would vanish when the resolution changes in mid-stream
        f"movie=filename={LOGO}:f=png_pipe{_logo_scaling(source.logo_scale)},format=yuva420p[logo];"
        # Dropping frames before the scaler makes 60 fps cheaper; the cut in frames holds for a variable rate
        f"{source.pictures(from_seconds=from_seconds)},{DEINTERLACING},fps={FRAME_RATE},{source.cut},"
        f"{to_bt709(coding, scaling)},"
        "setsar=1,split[picture][bare];"
        # Before the bars, which could be cut off together with it
        f"[picture][logo]overlay=W-w-{margin}:{margin}:format=yuv420,"
        f"pad={WIDTH}:{HEIGHT}:(ow-iw)/2:(oh-ih)/2,{COLOUR_FILTER},split[video][copy];"
        # A JPEG says nothing about its colours: it is BT.601 in full range
        f"[copy]{_CANDIDATE},scale={THUMBNAIL_WIDTH}:{THUMBNAIL_HEIGHT}:out_color_matrix=bt601:out_range=pc[candidates];"
        f"[bare]{_CANDIDATE},scale={LOOKS_WIDTH}:{LOOKS_HEIGHT}:flags=area,format=gray[looks]"
    )


def _logo_scaling(scale: Fraction) -> str:
    if scale == 1:
        return ""
    width, height = (max(1, round(side * scale)) for side in (LOGO_WIDTH, LOGO_HEIGHT))
    return f",scale={width}:{height}:flags=area"
