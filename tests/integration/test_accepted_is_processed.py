"""Whatever an upload accepts, the worker processes, and the body lasts as long as the reader says."""

import io
import struct
import subprocess
from collections.abc import Callable

import imageio_ffmpeg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from anb.mp4 import UnreadableClip, read_clip
from anb.mp4.samples import table_places
from anb_worker import encoding
from anb_worker.processing import process
from tests import boxes
from tests.rewriting import POINTS_ELSEWHERE, Box, numbers, rewritten

BUMPER_FRAMES = 2 * round(encoding.BUMPER_SECONDS * encoding.FRAME_RATE)
PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=192x108:r=30:d=2")
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "15")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=error")
REPEATED = "log-level=error:repeat-headers=1:keyint=15"
FRAGMENTS = ("-movflags", "+empty_moov+default_base_moof", "-frag_duration")
FIRST = ("-movflags", "+faststart")

SOURCES: dict[str, tuple[str, ...]] = {
    "index first": (*PICTURES, *SOUND, *H264, *FIRST),
    "index last": (*PICTURES, *SOUND, *H264),
    "HEVC": (*PICTURES, *HEVC, "-tag:v", "hvc1", *FIRST),
    "fragments": (*PICTURES, *SOUND, *H264, *FRAGMENTS, "300000"),
    "fragments of a picture": (*PICTURES, *H264, *FRAGMENTS, "1"),
    "25 pictures a second": (*PICTURES, *H264, "-r", "25", *FIRST),
    "sets in samples": (*PICTURES, *H264, "-x264-params", "repeat-headers=1", "-tag:v", "avc3", *FIRST),
    "a configuration in samples": (*PICTURES, *H264, *FIRST),
    "a configuration in HEVC samples": (*PICTURES, *HEVC, "-tag:v", "hvc1", *FIRST),
    "sets in HEVC samples": (*PICTURES, *HEVC[:-1], REPEATED, "-tag:v", "hev1", *FIRST),
}
IN_FRAGMENTS = frozenset({"fragments", "fragments of a picture"})


class Files(dict[str, bytes]):
    """Files by name, which are not worth printing."""

    def __repr__(self) -> str:
        return "the sources"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Files of two seconds, by how they are laid out."""
    folder = tmp_path_factory.mktemp("sources")
    for number, arguments in enumerate(SOURCES.values()):
        ffmpeg(*arguments, folder / f"{number}.mp4")
    files = Files((name, (folder / f"{number}.mp4").read_bytes()) for number, name in enumerate(SOURCES))
    for name in ("a configuration in samples", "a configuration in HEVC samples"):
        files[name] = with_configuration_in_samples(files[name], folder)
    files["start codes"] = with_start_codes(files["sets in samples"])
    return files


def with_configuration_in_samples(data, folder):
    """The file as ffmpeg's dump_extra makes it, and only the head of its configuration left where it belongs."""
    source, target = folder / "source.mp4", folder / "target.mp4"
    source.write_bytes(data)
    ffmpeg("-i", source, "-c", "copy", "-bsf:v", "dump_extra", "-y", *FIRST, target)
    file = target.read_bytes()
    kind, head = (b"avcC", 5) if b"avcC" in file else (b"hvcC", 22)
    start = file.index(kind) + 4
    return rewritten(file, configuration(kind, file[start : start + head] + (b"\xe0\x00" if head == 5 else b"\x00")))


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def with_start_codes(data):
    """The file with its samples as in a stream of its own, and with nothing in its configuration."""
    table = {box.kind: [memoryview(box.content)] for box in Box.parse(data).tables.boxes}
    changed = bytearray(data)
    for place in table_places(table):
        position = place.position
        while position < place.end:
            length = int.from_bytes(changed[position : position + 4])
            changed[position : position + 4] = b"\x00\x00\x00\x01"
            position += 4 + length
    return rewritten(bytes(changed), configuration(b"avcC", b""))


# --- what cameras, editors and browsers do to a file -------------------------------------------------------


def nothing(_file):
    """Leave it as it is."""


def before_everything(*added):
    def edit(file):
        file.boxes[:0] = [Box.parse(box).boxes[0] for box in added]

    return edit


def configuration(kind, content):
    """Replace what the description says to the decoder."""

    def edit(file):
        start = file.entry.index(kind) - 4
        end = start + int.from_bytes(file.entry[start : start + 4])
        file.entry = file.entry[:start] + boxes.box(kind, content) + file.entry[end:]

    return edit


def described(*added):
    """Add boxes to the description, in place of those of their type."""

    def edit(file):
        for box in added:
            file.entry = file.entry.replace(box[4:8], b"free") + box

    return edit


def edited(*rows):
    """Rows of (seconds shown, start in seconds or None for nothing) as the edit list."""

    def edit(file):
        movie = numbers(file.find("moov/mvhd").content)[3]
        media = numbers(file.video.find("mdia/mdhd").content)[3]
        entries = [
            (round(shown * movie), -1 if start is None else round(start * media), 1 << 16) for shown, start in rows
        ]
        file.video.boxes = [box for box in file.video.boxes if box.kind != b"edts"]
        file.video.boxes.insert(1, Box(b"edts", boxes.table(b"elst", ">IiI", entries)))

    return edit


def timed(change: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]):
    """Change the rows of (samples, ticks)."""

    def edit(file):
        table = file.tables.find("stts")
        values = numbers(table.content[8:])
        rows = change(list(zip(values[::2], values[1::2], strict=True)))
        table.content = boxes.table(b"stts", ">II", rows)[8:]

    return edit


def more_times(rows):
    return [*rows[:-1], (rows[-1][0] + 1, rows[-1][1])]


def fewer_times(rows):
    return [*rows[:-1], (rows[-1][0] - 1, rows[-1][1])]


def step_back(rows):
    (count, ticks), *others = rows
    return [(10, ticks), (1, 3 * ticks), (1, (1 << 32) - ticks), (count - 12, ticks), *others]


def long_last_picture(rows):
    count, ticks = rows[-1]
    return [*rows[:-1], (count - 1, ticks), (1, 200 * ticks)]


def empty_chunk(file):
    table = file.tables.find("stco")
    offsets = [*numbers(table.content[8:]), POINTS_ELSEWHERE + 157]
    table.content = boxes.table(b"stco", ">I", [(offset,) for offset in offsets])[8:]


def compact_sizes(file):
    table = file.tables.find("stsz")
    sizes = numbers(table.content[12:])
    table.kind = b"stz2"
    table.content = struct.pack(f">III{len(sizes)}H", 0, 16, len(sizes), *sizes)


def out_of_turn(seconds):
    """Show the last sample to be decoded so much later."""

    def edit(file):
        timescale = numbers(file.video.find("mdia/mdhd").content)[3]
        samples = numbers(file.tables.find("stsz").content)[2]
        shifts = [0] * samples
        for box in file.tables.boxes:
            if box.kind == b"ctts":
                values = numbers(box.content[8:])
                pairs = zip(values[::2], values[1::2], strict=True)
                shifts = [shift for count, shift in pairs for _ in range(count)]
        rows = [*((1, shift) for shift in shifts[:-1]), (1, shifts[-1] + round(seconds * timescale))]
        file.tables.boxes = [box for box in file.tables.boxes if box.kind != b"ctts"]
        file.tables.boxes.append(Box(b"ctts", boxes.table(b"ctts", ">II", rows)[8:]))

    return edit


def turned(*matrix):
    def edit(file):
        header = file.video.find("tkhd")
        header.content = header.content[:40] + struct.pack(">9i", *matrix) + header.content[76:]

    return edit


def sound_later(file):
    for track in file.tracks:
        if track is not file.video:
            track.boxes.insert(1, Box(b"edts", boxes.table(b"elst", ">IiI", [(400, -1, 1 << 16), (0, 0, 1 << 16)])))


BEFORE = st.sampled_from(
    [
        nothing,
        before_everything(boxes.box(b"free", bytes(99))),
        before_everything(boxes.box(b"styp", b"msdh", bytes(4))),
    ]
)
AFTER = st.sampled_from([b"", bytes(3), bytes(5000), bytes(range(251, 0, -1)) * 9, b"\xff" * 512, boxes.box(b"CAME")])
EDITS = st.sampled_from(
    [
        *(
            nothing,
            edited((0, 0)),
            edited((0, 0.5)),
            edited((1, 0), (1, 5)),
            edited((2, 0), (2, 0)),
            edited((1.5, None), (2, 0)),
            edited((1.5, None), (0, 0)),
        ),
        *(edited((0.4, None), (0, 0.5)), edited((1, 0.7)), edited((0.5, 0), (0.3, None), (0.5, 1))),
        *(edited((9, 0)), edited((0, None), (2, 0)), sound_later),
    ]
)
DESCRIPTIONS = st.sampled_from(
    [
        *(nothing, described(boxes.pasp(4, 3)), described(boxes.pasp(1, 2)), described(boxes.clap(100, 60))),
        *(described(boxes.colr(9, 18, 2)), described(boxes.colr(1, 1, 1)), described(boxes.colr(9, 16, 9))),
        *(described(boxes.colr(9, 14, 9)), described(boxes.colr(1, 13, 6)), described(boxes.colr(1, 9, 8))),
        *(described(boxes.clap(99.5, 61)), described(boxes.colr(5, 6, 5), boxes.pasp(12, 11))),
        *(described(boxes.colr(1, 1, 14)), described(boxes.colr(10, 1, 12)), described(boxes.pasp(11, 1))),
        *(described(boxes.pasp(1 << 31, (1 << 31) - 1)), described(boxes.pasp(1, 36)), turned(*boxes.QUARTER_TURN)),
        *(turned(2 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), turned(*[0] * 9)),
    ]
)
TABLES = st.sampled_from(
    [
        *(nothing, empty_chunk, compact_sizes, out_of_turn(3)),
        *map(timed, (more_times, fewer_times, step_back, long_last_picture)),
    ]
)


@st.composite
def arrangements(draw):
    name = draw(st.sampled_from([*SOURCES, "start codes"]))
    tables = nothing if name in IN_FRAGMENTS else draw(TABLES)
    return name, [draw(EDITS), draw(DESCRIPTIONS), tables, draw(BEFORE)], draw(AFTER)


# --- the property ------------------------------------------------------------------------------------------


def clip_of(data):
    try:
        return read_clip(io.BytesIO(data), size_bytes=len(data))
    except UnreadableClip as refusal:
        event(refusal.message)
        return None


# `make test-accepted` looks at more of them
@settings(
    max_examples=settings().max_examples // 10,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(arrangement=arrangements())
def test_whatever_an_upload_accepts_the_worker_processes(sources, tmp_path, arrangement):
    name, edits, after = arrangement
    data = rewritten(sources[name], *edits) + after
    clip = clip_of(data)
    if clip is None:
        return

    source = tmp_path / "source.mp4"
    source.write_bytes(data)
    result = process(
        source,
        tmp_path / "output.mp4",
        thumbnail=tmp_path / "thumbnail.jpg",
        scratch=tmp_path,
        progress=lambda _: None,
        cancelled=lambda: False,
    )

    expected = min(encoding.BODY_FRAMES, clip.duration_seconds * encoding.FRAME_RATE)
    assert abs(result.frames - BUMPER_FRAMES - expected) <= 2
