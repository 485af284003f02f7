import pytest

from anb.mp4.boxes import MAX_SAMPLES
from tests.boxes import avcc, box, file_of, read, refusal_of, sample_entry, video


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
        (video(count=59), "dañado"),
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
