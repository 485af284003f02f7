import struct

import pytest

from anb.mp4.boxes import MAX_SAMPLES
from tests.boxes import FTYP, avcc, box, file_of, full, movie, read, refusal_of, sample_entry, video


def test_a_clip_has_the_size_length_codec_and_frames_of_its_video_track():
    clip = read(file_of(video(handler=b"soun"), video(track_id=2)))

    assert (clip.width, clip.height, clip.duration_seconds) == (1920, 1080, 2.0)
    assert (clip.codec, clip.frames, clip.track_id, clip.tracks) == ("h264", 60, 2, 2)


def test_samples_past_the_end_of_the_file_are_refused():
    assert "incompleto" in refusal_of(file_of(video(offsets=[10**6])))


@pytest.mark.parametrize("tracks", [(), (video(handler=b"soun"),)], ids=["no track", "audio"])
def test_a_file_without_video_is_refused(tracks):
    assert refusal_of(file_of(*tracks)) == "El archivo no contiene video."


def test_audio_with_a_cover_is_refused():
    cover = video(entry=sample_entry(b"jpeg"))

    assert "imagen fija" in refusal_of(file_of(video(handler=b"soun"), cover))


@pytest.mark.parametrize(
    ("broken", "part"),
    [
        (video(deltas=((1, 150_001), (1, 1))), "dura más de 5 segundos"),
        (video(deltas=((1, 0xFFFFFFFF), (1, 1))), "dura más de 5 segundos"),
        (video(shifts=[(1, 10**9)]), "dura más de 5 segundos"),
        (video(deltas=((1000, 60),), sample_bytes=1), "más de 480 imágenes por segundo"),
        (video(deltas=((60, 0),)), "más de 480 imágenes por segundo"),
        (video(deltas=((MAX_SAMPLES + 1, 1000),), sample_bytes=0), "demasiado grande"),
        (video(count=1 << 31), "demasiado grande"),
        (video(edits=[(1, 0, 1)] * 101), "demasiado grande"),
        (video(edits=[(1000, 90_000, 1)]), "no contiene video"),
        (video(timescale=0), "dañado"),
        (video(per_chunk=1), "dañado"),
        (video(per_chunk=0), "dañado"),
        (video(entry=sample_entry(b"avc1")), "dañado"),
        (video(entry=sample_entry(b"avc1", avcc())), "dañado"),
        (video(entry=sample_entry(b"avc1", avcc(b"\x67\x42"))), "dañado"),
        (video(deltas=()), "no contiene video"),
        (video() * 17, "demasiado grande"),
        (box(b"cmov", bytes(100)), "demasiado grande"),
        (box(b"free") * 1001, "demasiado grande"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_index_that_would_hurt_is_refused(broken, part):
    assert part in refusal_of(file_of(broken))


def test_two_tables_where_one_belongs_are_refused():
    composition = file_of(video(shifts=[(60, 0)]))

    assert "dañado" in refusal_of(composition.replace(b"ctts", b"stts"))


def compact(bits, sizes):
    return full(
        b"stz2",
        struct.pack(">II", bits, len(sizes)),
        bytes.fromhex("".join(f"{size:0{bits // 4}x}" for size in sizes)),
    )


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_sizes_of_samples_may_be_compact(bits):
    index_first = FTYP + movie(video(sizes_table=compact(bits, [10] * 59 + [12]), offsets=[1000]))
    media_bytes = 1000 + 602 - len(index_first) - 8

    assert read(index_first + box(b"mdat", b"\x65" * media_bytes)).frames == 60
    assert "incompleto" in refusal_of(index_first + box(b"mdat", b"\x65" * (media_bytes - 1)))


@pytest.mark.parametrize(
    "table",
    [
        full(b"stz2", struct.pack(">II", 8, 60), bytes(59)),
        full(b"stz2", struct.pack(">II", 5, 60), bytes(60)),
        compact(8, [10] * 60) + full(b"stsz", struct.pack(">II", 10, 60)),
    ],
    ids=["too short", "of five bits", "two tables"],
)
def test_compact_sizes_that_cannot_be_are_refused(table):
    assert "dañado" in refusal_of(file_of(video(sizes_table=table)))


def test_a_track_that_no_decoder_finds_by_its_number_is_refused():
    assert "dañado" in refusal_of(file_of(video(track_id=1 << 31)))
    assert "dañado" in refusal_of(file_of(video(handler=b"soun"), video()))
    assert read(file_of(video(track_id=(1 << 31) - 1))).track_id == (1 << 31) - 1


# --- indexes that are a little wrong, which players show all the same -----------------------------------------

NEGATIVE = 1 << 32


def test_a_chunk_without_samples_may_point_anywhere():
    clip = read(file_of(video(offsets=(48, 0xC000009D))))

    assert (clip.frames, clip.duration_seconds) == (60, 2)


def test_chunks_that_no_sample_is_left_for_are_passed_over_wherever_they_stand():
    nothing_left = video(offsets=(48, 0, 10**9), chunks=[(1, 60), (2, 5), (3, 0)])

    assert read(file_of(nothing_left)).frames == 60


@pytest.mark.parametrize("count", [57, 59, 61, 63])
def test_times_of_more_or_fewer_samples_than_there_are_do_not_matter(count):
    clip = read(file_of(video(count=count)))

    assert (clip.frames, clip.duration_seconds) == (count, count / 30)


def test_the_last_time_holds_for_samples_that_have_none():
    clip = read(file_of(video(deltas=((30, 1000), (29, 2000)), count=61)))

    assert clip.duration_seconds == (30 * 1000 + 31 * 2000) / 30_000


def test_without_any_time_there_is_no_rate():
    assert "imágenes por segundo" in refusal_of(file_of(video(deltas=(), count=60)))


def test_a_negative_step_takes_back_what_was_too_long_before():
    clip = read(file_of(video(deltas=((29, 1000), (1, 31_000), (1, NEGATIVE - 29_000), (29, 1000)))))

    assert (clip.frames, clip.duration_seconds) == (60, 2)


def test_a_step_back_before_the_beginning_is_no_step_back():
    assert "dura más de 5 segundos" in refusal_of(file_of(video(deltas=((1, NEGATIVE - 1), (59, 1000)))))


def test_a_step_back_further_than_players_take_for_one_is_a_picture_of_hours():
    backwards = video(deltas=((1000, 1000), (1, NEGATIVE - 500_000), (10, 1000)), sample_bytes=1)

    assert "dura más de 5 segundos" in refusal_of(file_of(backwards))


@pytest.mark.parametrize("seconds", [6, 30, 3600])
def test_the_last_picture_may_last_as_long_as_it_likes(seconds):
    clip = read(file_of(video(deltas=((59, 1000), (1, seconds * 30_000)))))

    assert clip.duration_seconds == pytest.approx(59 / 30 + seconds)


def test_a_long_picture_before_the_last_is_refused():
    assert "dura más de 5 segundos" in refusal_of(file_of(video(deltas=((58, 1000), (1, 150_001), (1, 1)))))


def test_the_last_picture_of_a_track_is_none_of_its_rows_when_some_have_no_time():
    assert "dura más de 5 segundos" in refusal_of(file_of(video(deltas=((58, 1000), (1, 150_001)), count=60)))


def test_samples_where_the_file_begins_are_refused():
    assert "dañado" in refusal_of(file_of(video(offsets=(0,))))
