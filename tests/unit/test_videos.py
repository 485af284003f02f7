import io
from uuid import UUID, uuid4

import pytest

from anb import videos
from anb.errors import Invalid, NotFound
from anb.mp4 import Clip


def clip(*, width=1920, height=1080, seconds=30.0):
    return Clip(
        width=width,
        height=height,
        duration_seconds=seconds,
        codec="h264",
        frames=round(seconds * 30),
        track_id=1,
        tracks=1,
        index_first=True,
        configuration=b"",
    )


@pytest.mark.parametrize("text", ["", "1", "x", "0" * 32, UUID(int=7).hex, f"{{{UUID(int=7)}}}", "é"])
def test_what_is_no_id_is_not_found(text):
    with pytest.raises(NotFound):
        videos.parse_id(text)


def test_an_id_is_read_in_either_case():
    video_id = uuid4()

    assert videos.parse_id(str(video_id).upper()) == video_id


@pytest.mark.parametrize("title", [None, "", " ", "a\nb", "x" * 201, 7, "\ud800"])
def test_a_title_is_one_line_of_text(title):
    with pytest.raises(Invalid) as refusal:
        videos.check_title(title)

    assert set(refusal.value.fields) == {"title"}


def test_a_title_may_hold_accents_and_emoji():
    assert videos.check_title(" Mi mejor tiro 🏀 ") == "Mi mejor tiro 🏀"


@pytest.mark.parametrize("seconds", [20, 30, 60, 19.98, 60.06])
def test_20_to_60_seconds_are_accepted(seconds):
    videos.check_clip(clip(seconds=seconds))


@pytest.mark.parametrize("seconds", [0.03, 12, 19, 61, 75])
def test_other_lengths_are_refused_with_the_length(seconds):
    with pytest.raises(Invalid, match="segundos; debe durar entre 20 y 60") as refusal:
        videos.check_clip(clip(seconds=seconds))

    assert set(refusal.value.fields) == {"video_file"}


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (1080, 1080), (2560, 1080), (3840, 2160)])
def test_1080_pixels_on_the_shorter_side_are_accepted(width, height):
    videos.check_clip(clip(width=width, height=height))


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (1920, 1078), (3840, 1079)])
def test_smaller_pictures_are_refused_with_their_size(width, height):
    with pytest.raises(Invalid, match=f"{width}x{height}"):
        videos.check_clip(clip(width=width, height=height))


def test_100_mb_are_accepted():
    videos.check_size(100 * 1024 * 1024)


@pytest.mark.parametrize("size_bytes", [0, 100 * 1024 * 1024 + 1])
def test_an_empty_file_and_one_byte_over_100_mb_are_refused(size_bytes):
    with pytest.raises(Invalid):
        videos.check_size(size_bytes)


def test_a_file_that_is_no_mp4_is_refused_by_its_content():
    with pytest.raises(Invalid) as refusal:
        videos.check_file(io.BytesIO(b"#EXTM3U\n"), size_bytes=8)

    assert set(refusal.value.fields) == {"video_file"}


@pytest.mark.parametrize("key", ["", "a b", "ñ", "x" * 256, "a\tb"])
def test_an_unusable_idempotency_key_is_refused(key):
    with pytest.raises(Invalid):
        videos.check_idempotency_key(key)
