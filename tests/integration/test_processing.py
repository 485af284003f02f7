"""The whole media step with the real ffmpeg, on clips of a second or two."""

import hashlib
import struct
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from anb.mp4.boxes import boxes_in, table_rows
from anb.mp4.layout import file_boxes, read_layout
from anb.mp4.tracks import video_tracks
from anb_worker import encoding
from anb_worker.__main__ import main
from anb_worker.failures import Cancelled, Unprocessable
from anb_worker.processing import BRANDING
from demo.samples import make_sample
from tests.media import BUMPER_FRAMES, FIRST_BODY_FRAME, Run, ffmpeg, picture, read

LOGO_ON_PORTRAIT = (slice(20, 98), slice(670, 820))  # rows and columns of the 150x78 watermark


def steps(path):
    """The distinct distances in ticks between decoding times, and between showing times, of all frames."""
    with path.open("rb") as file:
        movie = boxes_in(read_layout(file, path.stat().st_size).index)
    tables = video_tracks(movie)[0].tables
    durations = [d for count, d in table_rows(tables[b"stts"][0], struct.Struct(">II")) for _ in range(count)]
    shifts = [s for count, s in table_rows(tables[b"ctts"][0], struct.Struct(">Ii")) for _ in range(count)]
    decoded = [sum(durations[:number]) for number in range(len(durations))]
    shown = sorted(time + shift for time, shift in zip(decoded, shifts, strict=True))
    return [{later - earlier for earlier, later in pairwise(times)} for times in (decoded, shown)]


def is_black(part):
    """Whether it is, but for what the encoder spills over from the picture beside it."""
    return part.max() <= 40 and part.mean() < 0.5


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A short clip for tests that do not care which."""
    return make_sample(tmp_path_factory.mktemp("sample") / "clip.mp4", width=640, height=360, seconds=2)


@pytest.mark.parametrize(
    ("seconds", "shape"),
    [
        (1, {"width": 1920, "height": 1080}),
        (1, {"width": 360, "height": 640}),
        (1, {"width": 480, "height": 480}),
        (1, {"width": 840, "height": 360}),
        (1, {"width": 640, "height": 360, "fps": 60}),
        (1, {"width": 640, "height": 360, "codec": "hevc"}),
        (1, {"width": 640, "height": 360, "codec": "hevc", "hdr": True}),
        (1, {"width": 640, "height": 360, "rotation": 90}),
        (1, {"width": 640, "height": 360, "rotation": 180}),
        (2, {"width": 640, "height": 360, "variable_rate": True}),
        (2, {"width": 640, "height": 360, "fps": "30000/1001"}),
        (1, {"width": 640, "height": 360, "fps": 25}),
        (1, {"width": 639, "height": 359, "options": ("-pix_fmt", "yuv444p")}),
        (1, {"width": 640, "height": 360, "options": ("-color_range", "pc", "-colorspace", "bt470bg")}),
        (1, {"width": 640, "height": 360, "options": ("-movflags", "frag_keyframe+empty_moov", "-g", "10")}),
        (Fraction(1, 30), {"width": 640, "height": 360, "audio": False}),
        (Fraction(2, 30), {"width": 640, "height": 360, "audio": False}),
        (Fraction(29, 30), {"width": 640, "height": 360, "audio": False}),
    ],
    ids=[
        *("1080p", "portrait", "square", "21:9", "60 fps", "HEVC", "HDR", "rotated", "upside down"),
        *("variable rate", "29.97 fps", "25 fps", "odd 4:4:4", "full range BT.601", "fragmented"),
        *("one frame", "two frames", "a length of no whole milliseconds"),
    ],
)
def test_every_shape_becomes_the_same_kind_of_clip(run, tmp_path, seconds, shape):
    source = make_sample(tmp_path / "in.mp4", seconds=float(seconds), **shape)

    result = run(source)

    clip = read(run.output)
    body_frames = result.frames - 2 * BUMPER_FRAMES
    assert abs(body_frames - seconds * 30) <= 1
    assert (clip.width, clip.height, clip.codec) == (1280, 720, "h264")
    assert (clip.tracks, clip.index_first, clip.frames) == (1, True, result.frames)
    assert result.duration_seconds == clip.duration_seconds == result.frames / 30
    assert steps(run.output) == [{512}, {512}]
    assert decoded_frames(run.output) == result.frames
    assert list(run.scratch.iterdir()) == []


def decoded_frames(path):
    """How many frames a decoder gets out of a file in which nothing is wrong."""
    lines = ffmpeg("-xerror", "-i", path, "-f", "framemd5", "-").stdout.decode().splitlines()
    assert any(line.startswith("#sar 0: 1/1") for line in lines)
    return sum(not line.startswith("#") for line in lines)


def test_a_long_clip_is_cut_at_thirty_seconds(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=320, height=180, seconds=31, fps=30)
    shown: list[float] = []

    result = run(source, progress=shown.append)

    assert (result.duration_seconds, result.frames) == (35.0, 1050)
    assert steps(run.output) == [{512}, {512}]
    assert shown == sorted(shown)
    assert 0 <= shown[0] < 1
    assert shown[-1] == 1
    assert result.size_bytes == run.output.stat().st_size


def test_a_portrait_clip_stands_between_black_bars(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=360, height=640, seconds=1)

    run(source)

    frame = picture(run.output, FIRST_BODY_FRAME + 10)
    assert is_black(frame[:, :434])
    assert is_black(frame[:, -434:])
    assert frame[:, 438:-438].mean() > 40


def test_a_wide_clip_lies_between_black_bars(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=840, height=360, seconds=1)

    run(source)

    frame = picture(run.output, FIRST_BODY_FRAME + 10)
    assert is_black(frame[:84])
    assert is_black(frame[-84:])
    assert frame[90:-90].mean() > 40


def test_a_clip_turned_by_its_metadata_is_shown_upright(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=640, height=360, seconds=1, rotation=90)

    run(source)

    frame = picture(run.output, FIRST_BODY_FRAME + 10)
    assert is_black(frame[:, :434])
    assert frame[:, 438:-438].mean() > 40


def test_an_untagged_hd_clip_keeps_its_colours(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=1280, height=720, seconds=0.2, audio=False)

    run(source)

    before, after = (plane_means(path, frame) for path, frame in ((source, 3), (run.output, FIRST_BODY_FRAME + 3)))
    assert abs(before - after).max() < 1


def plane_means(path, frame):
    """The mean of luma and both chroma planes of a frame, as coded."""
    select = f"select=eq(n\\,{frame})"
    raw = ffmpeg("-i", path, "-vf", select, "-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-").stdout
    luma, *chroma = np.split(np.frombuffer(raw, np.uint8), [1280 * 720, 1280 * 720 * 5 // 4])
    return np.array([luma.mean(), *(plane.mean() for plane in chroma)])


def test_a_change_of_resolution_in_mid_stream_keeps_watermark_and_length(run, tmp_path):
    for name, width, height in (("a", 640, 360), ("b", 180, 320)):
        sample = make_sample(tmp_path / f"{name}.mp4", width=width, height=height, seconds=1, audio=False)
        ffmpeg("-i", sample, "-c", "copy", "-f", "h264", tmp_path / f"{name}.h264")
    both = (tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes()
    (tmp_path / "both.h264").write_bytes(both)
    ffmpeg("-r", 30, "-f", "h264", "-i", tmp_path / "both.h264", "-c", "copy", tmp_path / "in.mp4")

    result = run(tmp_path / "in.mp4")

    assert result.frames == 60 + 2 * BUMPER_FRAMES
    assert steps(run.output) == [{512}, {512}]
    last = picture(run.output, FIRST_BODY_FRAME + 58)
    assert is_black(last[:, :300])
    assert last[LOGO_ON_PORTRAIT].std() > last[100:178, 670:820].std() + 10


def test_the_bumpers_are_the_ready_made_ones_bit_for_bit(run, sample):
    run(sample)

    intro, shown, outro = map(frame_hashes, (BRANDING / encoding.INTRO, run.output, BRANDING / encoding.OUTRO))
    assert shown[:BUMPER_FRAMES] == intro
    assert shown[-BUMPER_FRAMES:] == outro


def frame_hashes(path):
    listing = ffmpeg("-i", path, "-f", "framemd5", "-").stdout.decode().splitlines()
    return [line.split(",")[-1] for line in listing if not line.startswith("#")]


def test_the_same_clip_gives_the_same_bytes(run, sample):
    digests = set()
    for _ in range(2):
        run(sample)
        digests.add(hashlib.sha256(run.output.read_bytes() + run.thumbnail.read_bytes()).digest())

    assert len(digests) == 1


def test_the_thumbnail_is_a_small_picture_of_the_clip(run, sample):
    run(sample)

    with Image.open(run.thumbnail) as image:
        small = np.asarray(image.convert("RGB")).astype(int)
    whole = picture(run.output, FIRST_BODY_FRAME + 30)
    halved = whole.reshape(360, 2, 640, 2, 3).mean(axis=(1, 3))
    assert abs(small - halved).mean() < 6
    assert abs(small.mean(axis=(0, 1)) - halved.mean(axis=(0, 1))).max() < 1


def test_a_result_replaces_an_older_one(run, sample):
    run.output.write_text("old")

    run(sample)

    assert read(run.output).frames == 60 + 2 * BUMPER_FRAMES


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"hola", b"#EXTM3U\nfile:///etc/passwd\n"], ids=["empty", "text", "HLS"])
def test_a_file_that_is_not_a_video_is_unprocessable(run, tmp_path, content):
    (tmp_path / "in.mp4").write_bytes(content)

    with pytest.raises(Unprocessable, match="archivo"):
        run(tmp_path / "in.mp4")

    assert not run.output.exists()


def test_a_video_without_a_decodable_frame_is_unprocessable(run, sample, tmp_path):
    data = bytearray(sample.read_bytes())
    with sample.open("rb") as file:
        media = next(box for box in file_boxes(file, len(data)) if box.kind == b"mdat")
    data[media.body : media.body + media.body_bytes] = bytes(media.body_bytes)
    (tmp_path / "in.mp4").write_bytes(data)

    with pytest.raises(Unprocessable, match="dañado"):
        run(tmp_path / "in.mp4")

    assert list(run.scratch.iterdir()) == []
    assert not run.output.exists()


def test_scratches_in_the_media_do_not_change_the_length(run, sample, tmp_path):
    data = bytearray(sample.read_bytes())
    for position in range(len(data) // 3, len(data) // 2, 997):
        data[position] ^= 0x55
    (tmp_path / "in.mp4").write_bytes(data)

    assert run(tmp_path / "in.mp4").frames == 60 + 2 * BUMPER_FRAMES


def test_a_cancelled_clip_leaves_nothing_behind(run, tmp_path):
    source = make_sample(tmp_path / "in.mp4", width=640, height=360, seconds=20, fps=10)
    shown: list[float] = []

    with pytest.raises(Cancelled):
        run(source, progress=shown.append, cancelled=lambda: bool(shown))

    assert shown[-1] < 1
    assert list(run.scratch.iterdir()) == []
    assert not run.output.exists()
    assert not run.thumbnail.exists()


def test_an_output_that_cannot_be_written_leaves_nothing_behind(run, sample, tmp_path):
    run.output = tmp_path / "missing" / "out.mp4"

    with pytest.raises(FileNotFoundError):
        run(sample)

    assert list(run.scratch.iterdir()) == []


# --- the command line -------------------------------------------------------------------------------------


def process_file(*arguments):
    command = [sys.executable, "-m", "anb_worker", "process", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_command_processes_a_file_in_silence(sample, tmp_path):
    done = process_file(sample, tmp_path / "out.mp4", "--thumbnail", tmp_path / "out.jpg")

    # It may say what this machine lacks for the sandbox: containers forbid unshare
    said = [
        line for line in done.stderr.splitlines() if not line.endswith("does not work here: ffmpeg runs without it")
    ]
    assert (done.returncode, done.stdout, said) == (0, "", [])
    assert read(tmp_path / "out.mp4").frames == 60 + 2 * BUMPER_FRAMES
    assert (tmp_path / "out.jpg").read_bytes().startswith(b"\xff\xd8")


def test_the_command_refuses_a_file_in_one_line(tmp_path):
    (tmp_path / "text.mp4").write_text("hola")

    done = process_file(tmp_path / "text.mp4", tmp_path / "out.mp4")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"anb_worker: {tmp_path / 'text.mp4'}: El archivo no es un video MP4.\n"
    assert not (tmp_path / "out.mp4").exists()


def test_the_command_without_arguments_explains_itself():
    done = process_file()

    assert done.returncode == 2
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    ("source", "output", "problem"),
    [
        ("missing.mp4", "out.mp4", "missing.mp4' does not exist"),
        ("folder", "out.mp4", "folder' is a directory"),
        ("text.mp4", "text.mp4", "a name of its own"),
        ("text.mp4", "folder/../text.mp4", "a name of its own"),
        ("text.mp4", "folder", "folder' is a directory"),
        ("text.mp4", "missing/out.mp4", "missing is not a folder that can be written to"),
    ],
)
def test_a_path_that_cannot_be_right_is_named(tmp_path, capsys, source, output, problem):
    (tmp_path / "text.mp4").write_text("hola")
    (tmp_path / "folder").mkdir()

    assert main(["process", str(tmp_path / source), str(tmp_path / output)]) == 2

    assert problem in capsys.readouterr().err.splitlines()[-1]
