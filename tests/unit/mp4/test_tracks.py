import pytest

from anb.mp4.tracks import MAX_VIDEO_TRACKS
from tests.boxes import (
    FTYP,
    MDAT,
    QUARTER_TURN,
    avc_sps,
    avcc,
    colr,
    file_of,
    fragment,
    fragmented,
    movie,
    pasp,
    read,
    refusal_of,
    sample_entry,
    video,
)


def test_the_first_track_that_we_decode_is_taken():
    cover = video(entry=sample_entry(b"jpeg"), track_id=1)

    assert read(file_of(cover, video(track_id=2))).track_id == 2


def test_of_several_tracks_the_largest_picture_counts():
    proxy, full = video(size=(320, 180)), video(track_id=2)
    other_order = file_of(video(), video(size=(320, 180), track_id=2))

    assert (read(file_of(proxy, full)).track_id, read(file_of(proxy, full)).width) == (2, 1920)
    assert read(other_order).track_id == 1


def test_of_two_tracks_of_the_same_size_the_first_counts():
    assert read(file_of(video(), video(track_id=2))).track_id == 1


def test_the_largest_is_what_is_shown_the_largest():
    anamorphic = sample_entry(b"avc1", avcc(avc_sps(960, 1080)), pasp(2, 1))

    assert read(file_of(video(size=(1440, 1080)), video(entry=anamorphic, track_id=2))).track_id == 2


def test_a_broken_track_does_not_spoil_a_whole_one():
    broken = video(entry=sample_entry(b"avc1", avcc(b"\x67\x42")))

    assert read(file_of(broken, video(track_id=2))).track_id == 2
    assert read(file_of(video(track_id=2), broken)).track_id == 2


def test_a_preview_does_not_stand_in_for_a_picture_that_nobody_can_process():
    unconvertible = sample_entry(b"avc1", avcc(avc_sps(1920, 1080)), colr(1, 1, 11))
    preview = video(size=(320, 180), track_id=2)

    assert "SMPTE 2085" in refusal_of(file_of(video(entry=unconvertible), preview))
    assert "4096x2304" in refusal_of(file_of(video(size=(7680, 4320)), preview))


def test_more_pictures_than_any_camera_takes_are_refused():
    many = [video(track_id=number) for number in range(1, MAX_VIDEO_TRACKS + 2)]

    assert read(file_of(*many[:-1])).track_id == 1
    assert "demasiado grande" in refusal_of(file_of(*many))


def test_a_quarter_turn_swaps_width_and_height():
    clip = read(file_of(video(matrix=QUARTER_TURN)))

    assert (clip.width, clip.height) == (1080, 1920)


def test_the_film_may_turn_its_tracks():
    data = FTYP + MDAT + movie(video(), matrix=QUARTER_TURN)
    turned_back = FTYP + MDAT + movie(video(matrix=QUARTER_TURN), matrix=QUARTER_TURN)

    assert (read(data).width, read(data).height) == (1080, 1920)
    assert (read(turned_back).width, read(turned_back).height) == (1920, 1080)


def test_an_edit_list_shortens_what_is_shown():
    assert read(file_of(video(edits=[(500, 3000, 1 << 16)]))).duration_seconds == 0.5


def test_an_empty_edit_only_delays():
    assert read(file_of(video(edits=[(700, -1, 1 << 16), (2000, 0, 1 << 16)]))).duration_seconds == 2.0


def test_an_edit_without_length_lasts_until_the_end():
    assert read(file_of(video(edits=[(0, 15_000, 1 << 16)]))).duration_seconds == 1.5


def test_the_reordering_delay_of_b_frames_is_not_cut_away():
    clip = read(file_of(video(edits=[(2000, 2000, 1 << 16)], shifts=[(60, 2000)])))

    assert clip.duration_seconds == 2.0


def test_an_edit_from_before_the_first_picture_begins_with_it():
    clip = read(file_of(video(edits=[(1500, 0, 1 << 16)], shifts=[(60, 45_000)])))

    assert clip.edits == [(1.5, 3.0)]
    assert clip.duration_seconds == 1.5


def test_one_picture_that_is_shown_out_of_turn_does_not_shorten_the_others():
    clip = read(file_of(video(edits=[(2000, 0, 1 << 16)], shifts=[(1, -20_000), (59, 0)])))

    assert clip.duration_seconds == 2.0


def test_edits_of_what_is_not_there_show_nothing():
    clip = read(file_of(video(edits=[(1000, 0, 1 << 16), (1000, 150_000, 1 << 16)])))

    assert clip.edits == [(0.0, 1.0)]
    assert clip.duration_seconds == 1.0


def test_edits_cannot_show_more_than_there_is():
    assert read(file_of(video(edits=[(2000, 0, 1 << 16)] * 30))).duration_seconds == 2.0


WHOLE = 1 << 16


def in_fragments(*edits):
    return fragmented(*(fragment(start=each * 30_000, durations=[1000] * 30) for each in range(3)), edits=edits)


@pytest.mark.parametrize(
    ("edits", "seconds"),
    [
        ([(700, -1, WHOLE), (0, 0, WHOLE)], 3),
        ([(700, -1, WHOLE), (2000, 0, WHOLE)], 2),
        ([(0, 0, WHOLE)], 3),
        ([(0, 30_000, WHOLE)], 2),
        ([(0, -1, WHOLE), (0, 15_000, WHOLE)], 2.5),
    ],
)
def test_edits_of_fragments_count_what_the_fragments_hold(edits, seconds):
    assert read(in_fragments(*edits)).duration_seconds == seconds


def test_empty_edits_may_stand_anywhere_and_show_nothing():
    edits = [(700, -1, WHOLE), (500, 0, WHOLE), (300, -1, WHOLE), (500, 30_000, WHOLE), (900, -1, WHOLE)]

    assert read(file_of(video(edits=edits))).duration_seconds == 1.0


def test_nothing_but_an_empty_edit_shows_no_video():
    assert "no contiene video" in refusal_of(file_of(video(edits=[(700, -1, WHOLE)])))
