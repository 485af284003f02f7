"""Files as cameras and editors write them: what of them is shown, and how, measured in what the real ffmpeg makes."""

import numpy as np
import pytest
from PIL import Image

from anb_worker import encoding
from tests import boxes
from tests.media import (
    BUMPER_FRAMES,
    FIRST_BODY_FRAME,
    Run,
    append_box,
    ffmpeg,
    picture,
    read,
    with_edits,
)
from tests.rewriting import numbers as numbers_of
from tests.rewriting import rewritten

ENCODER = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p", "-g", "15")
B_FRAMES = (*ENCODER, "-preset", "veryfast", "-bf", "2")
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
SOUND = ("-f", "lavfi", "-i", "sine=d=3", "-c:a", "alac")  # AAC would begin before the picture


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def drawn(path, source, *words):
    """A file with the pictures of an ffmpeg source, and what other inputs bring."""
    ffmpeg("-f", "lavfi", "-i", source, *words, path)
    return path


# --- edit lists ---------------------------------------------------------------------------------------------------

# Seven columns, black or white: an encoder may take a picture that is a little greyer for the same one
NUMBERED = (
    "color=s=336x188:r=30:d=3,format=yuv420p,geq=lum='20+200*mod(trunc(N/pow(2\\,trunc(X/48)))\\,2)':cb=128:cr=128"
)


def numbers(path):
    """The number of each picture of the body in the source, which its columns tell."""
    row = "crop=1280:64:0:600,scale=7:1:flags=area"
    raw = ffmpeg("-i", path, "-vf", row, "-pix_fmt", "gray", "-f", "rawvideo", "-").stdout
    pictures = [raw[at : at + 7] for at in range(7 * BUMPER_FRAMES, len(raw) - 7 * BUMPER_FRAMES, 7)]
    return [sum((grey > 128) << bit for bit, grey in enumerate(picture)) for picture in pictures]


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(1.5, None), (3, 0)], [*range(90)]),
        ([(1.5, None), (0, 0)], [*range(90)]),
        ([(0, 0)], [*range(90)]),
        ([(0, 1)], [*range(30, 90)]),
        ([(1, 1)], [*range(30, 60)]),
        ([(1, None), (1, 1)], [*range(30, 60)]),
        ([(1, 0), (1, None), (1, 2)], [*range(30), *range(60, 90)]),
        ([(0.5, 0.5), (0, 2)], [*range(15, 30), *range(60, 90)]),
    ],
    ids=[
        *("an empty edit", "an empty edit and one of no length", "no length", "no length, later"),
        *("a middle", "an empty edit and a middle", "a gap", "two parts, the last of no length"),
    ],
)
@pytest.mark.parametrize("how", [ENCODER, (*ENCODER, *FRAGMENTS)], ids=["whole", "in fragments"])
def test_the_body_shows_what_the_edit_list_shows_and_begins_with_it(run, tmp_path, how, edits, shown):
    source = with_edits(drawn(tmp_path / "in.mp4", NUMBERED, *SOUND, "-map", "0", "-map", "1", *how), *edits)

    run(source)

    assert numbers(run.output) == shown


def test_b_frames_are_cut_to_the_picture(run, tmp_path):
    source = drawn(tmp_path / "in.mp4", NUMBERED, *B_FRAMES)
    delay = 2 / 30

    run(with_edits(source, (1, 1 + delay)))

    assert numbers(run.output) == [*range(30, 60)]


def test_an_edit_that_shows_something_twice_is_played_twice(run, tmp_path):
    source = with_edits(drawn(tmp_path / "in.mp4", NUMBERED, *ENCODER), (1, 1), (1, 0.5))

    run(source)

    assert numbers(run.output) == [*range(30, 60), *range(15, 45)]


def test_a_late_start_is_looked_up(run, tmp_path):
    source = drawn(tmp_path / "in.mp4", NUMBERED.replace("d=3", "d=12").replace("(N/", "(mod(N\\,90)/"), *ENCODER)

    run(with_edits(source, (1, 9)))

    assert numbers(run.output) == [*range(30)]


def test_thirty_seconds_are_shown_after_an_empty_edit(run, tmp_path):
    source = drawn(tmp_path / "in.mp4", "testsrc2=s=160x90:r=10:d=32", *ENCODER)

    result = run(with_edits(source, (2, None), (32, 0)))

    assert result.frames == encoding.BODY_FRAMES + 2 * BUMPER_FRAMES
    first, later = (picture(run.output, FIRST_BODY_FRAME + number) for number in (0, 6))
    assert abs(first - later).mean() > 0.5


def with_long_last_picture(path, seconds):
    """Have the last sample of the file last so long."""

    def edit(file):
        timescale = numbers_of(file.video.find("mdia/mdhd").content)[3]
        table = file.tables.find("stts")
        [count, ticks] = numbers_of(table.content[8:])
        table.content = boxes.table(b"stts", ">II", [(count - 1, ticks), (1, seconds * timescale)])[8:]

    path.write_bytes(rewritten(path.read_bytes(), edit))
    return path


@pytest.mark.parametrize("how", [ENCODER, B_FRAMES], ids=["last to be decoded", "decoded before another"])
@pytest.mark.parametrize(
    ("edits", "shown"),
    [([], [*range(90), *[89] * 59]), ([(0, 1)], [*range(30, 90), *[89] * 59]), ([(1, 1)], [*range(30, 60)])],
    ids=["to the end", "from a second on", "of which nothing is shown"],
)
def test_the_last_picture_is_held_as_long_as_it_says(run, tmp_path, how, edits, shown):
    delay = 0 if how is ENCODER else 2 / 30
    source = with_long_last_picture(drawn(tmp_path / "in.mp4", NUMBERED, *how), seconds=2)
    with_edits(source, *([(seconds, start + delay) for seconds, start in edits] or [(0, delay)]))

    run(source)

    assert numbers(run.output) == shown


def test_pictures_that_come_late_are_shown_from_the_first_one_on(run, tmp_path):
    source = drawn(tmp_path / "in.mp4", NUMBERED, *B_FRAMES)

    def edit(file):
        table = file.tables.find("ctts")
        timescale = numbers_of(file.video.find("mdia/mdhd").content)[3]
        values = numbers_of(table.content[8:])
        later = [(count, shift + 3 * timescale) for count, shift in zip(values[::2], values[1::2], strict=True)]
        table.content = boxes.table(b"ctts", ">II", later)[8:]

    source.write_bytes(rewritten(source.read_bytes(), edit))

    run(source)

    assert numbers(run.output) == [*range(90)]


# --- fields -------------------------------------------------------------------------------------------------------

MOVING_BAR = "color=s=320x180:r=60:d=1,format=yuv420p,geq=lum='16+200*between(X-5*N\\,0\\,40)':cb=128:cr=128"


def interlaced(path, order):
    parity = {"tff": "top", "bff": "bottom"}[order]
    weave = f"{MOVING_BAR},tinterlace=interleave_{parity},fieldorder={order},format=yuv420p"
    return drawn(path, weave, *ENCODER, "-flags", "+ilme+ildct", "-x264-params", f"{order}=1")


def combs(frame):
    """How much neighbouring lines of the picture differ, in steps of 255."""
    return abs(np.diff(frame[100:-100, :1000, 1], axis=0)).mean()


def places(path):
    """Where the bar begins in the pictures of the body."""
    return [int((picture(path, FIRST_BODY_FRAME + number)[360, :, 1] > 100).argmax()) for number in (5, 6, 7, 8)]


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_pictures_are_deinterlaced_though_the_file_does_not_say_so(run, tmp_path, order):
    source = interlaced(tmp_path / "in.mp4", order)
    assert b"fiel" not in source.read_bytes()

    run(source)

    assert combs(picture(run.output, FIRST_BODY_FRAME + 6)) < 0.5
    # The bar moves by ten of 320 pixels from one frame to the next
    assert np.diff(places(run.output)) == pytest.approx(40, abs=4)


def test_progressive_pictures_are_untouched_before_they_are_scaled(tmp_path):
    source = drawn(tmp_path / "in.mp4", "testsrc2=s=320x180:r=30:d=1", *ENCODER)

    untouched, passed = (
        ffmpeg("-i", source, "-vf", filters, "-f", "rawvideo", "-").stdout
        for filters in ("null", encoding.DEINTERLACING)
    )

    assert untouched == passed


# --- shapes -------------------------------------------------------------------------------------------------------


def test_pixels_that_are_not_square_are_shown_in_their_shape(run, tmp_path):
    source = drawn(tmp_path / "in.mp4", "color=white:s=320x360:r=10:d=0.5", *ENCODER, "-aspect", "16:9")

    run(source)

    assert picture(run.output, FIRST_BODY_FRAME + 3)[150:, 20:-20].min() > 200


def test_what_lies_outside_the_clean_aperture_is_not_shown(run, tmp_path):
    frame = "color=red:s=640x480:r=10:d=0.5,drawbox=x=160:y=150:w=320:h=180:color=lime:t=fill"
    source = drawn(tmp_path / "in.mp4", frame, *ENCODER)
    aperture = np.array([320, 1, 180, 1, 0, 1, 0, 1], ">u4").tobytes()
    append_box(source, ("moov", "trak", "mdia", "minf", "stbl", "stsd", "avc1"), b"clap", aperture)

    run(source)

    shown = picture(run.output, FIRST_BODY_FRAME + 3)[150:-8, 8:-8]
    assert shown[..., 0].max() < 80
    assert shown[..., 1].min() > 200
    assert (read(source).width, read(source).height) == (320, 180)


def test_of_a_proxy_and_the_whole_picture_the_whole_one_is_shown(run, tmp_path):
    proxy = ("-f", "lavfi", "-i", "color=red:s=160x90:r=10:d=0.5")
    source = tmp_path / "in.mp4"
    drawn(source, "color=lime:s=640x360:r=10:d=0.5", *proxy, "-map", "1", "-map", "0", *ENCODER)

    run(source)

    assert picture(run.output, FIRST_BODY_FRAME + 3)[150:, :, 1].min() > 200


# --- watermark ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "place"),
    [
        ("640x360", (1280, 720)),
        ("360x640", (404, 720)),
        ("480x480", (720, 720)),
        ("640x480", (960, 720)),
        ("840x360", (1280, 548)),
        ("192x720", (192, 720)),
    ],
)
def test_the_watermark_lies_on_the_picture_whatever_its_shape(run, tmp_path, size, place):
    source = drawn(tmp_path / "in.mp4", f"color=0x00C000:s={size}:r=10:d=0.5", *ENCODER)
    width, height = place
    left, top = (1280 - width) // 2, (720 - height) // 2

    run(source)

    frame = picture(run.output, FIRST_BODY_FRAME + 3)
    shown = frame[top : top + height, left : left + width].copy()
    corner = shown[20:98, -170:-20]
    assert abs(corner - shown[-50, 20]).max(axis=2).mean() > 60
    frame[max(0, top - 2) : top + height + 2, max(0, left - 2) : left + width + 2] = 0
    assert frame.max() <= 40


@pytest.mark.parametrize(
    ("size", "place"), [("640x40", (1280, 80)), ("640x34", (1280, 68)), ("60x720", (60, 720)), ("40x720", (40, 720))]
)
def test_on_a_picture_that_is_too_flat_for_it_the_watermark_is_smaller(run, tmp_path, size, place):
    source = drawn(tmp_path / "in.mp4", f"color=0x00C000:s={size}:r=10:d=0.5", *ENCODER)
    width, height = place
    left, top = (1280 - width) // 2, (720 - height) // 2

    run(source)

    frame = picture(run.output, FIRST_BODY_FRAME + 3)
    shown = frame[top : top + height, left : left + width]
    marked = abs(shown - shown[-3, 3]).max(axis=2) > 90
    assert marked.sum() > 50
    rows, columns = marked.any(axis=1).nonzero()[0], marked.any(axis=0).nonzero()[0]
    assert (rows[0], columns[0]) > (0, 0)
    assert (rows[-1], columns[-1]) < (height - 1, width - 1)


# --- thumbnails ---------------------------------------------------------------------------------------------------


def test_the_thumbnail_is_neither_black_nor_faded_nor_frozen(run, tmp_path):
    fade = "testsrc2=s=320x180:r=30:d=4.5,fade=in:d=1.5,tpad=start_duration=1.5:start_mode=add"
    frozen = f"{fade},setpts=PTS-STARTPTS,tpad=stop_duration=1:stop_mode=clone"
    source = drawn(tmp_path / "in.mp4", frozen, *ENCODER)

    run(source)

    with Image.open(run.thumbnail) as image:
        chosen = np.asarray(image.convert("RGB")).astype(int)
    halves = {
        number: picture(run.output, FIRST_BODY_FRAME + number).reshape(360, 2, 640, 2, 3).mean(axis=(1, 3))
        for number in range(0, 210, 15)
    }
    best = min(halves, key=lambda number: abs(halves[number] - chosen).mean())
    assert 75 <= best < 180
