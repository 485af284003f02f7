from tests.boxes import QUARTER_TURN, file_of, read, sample_entry, video


def test_the_first_track_that_we_decode_is_taken():
    cover = video(entry=sample_entry(b"jpeg"), track_id=1)

    assert read(file_of(cover, video(track_id=2))).track_id == 2


def test_a_quarter_turn_swaps_width_and_height():
    clip = read(file_of(video(matrix=QUARTER_TURN)))

    assert (clip.width, clip.height) == (1080, 1920)


def test_an_edit_list_shortens_what_is_shown():
    assert read(file_of(video(edits=[(500, 3000, 1 << 16)]))).duration_seconds == 0.5


def test_an_empty_edit_only_delays():
    assert read(file_of(video(edits=[(700, -1, 1 << 16), (2000, 0, 1 << 16)]))).duration_seconds == 2.0


def test_an_edit_without_length_lasts_until_the_end():
    assert read(file_of(video(edits=[(0, 15_000, 1 << 16)]))).duration_seconds == 1.5


def test_the_reordering_delay_of_b_frames_is_not_cut_away():
    clip = read(file_of(video(edits=[(2000, 2000, 1 << 16)], shifts=[(60, 2000)])))

    assert clip.duration_seconds == 2.0


def test_edits_cannot_show_more_than_there_is():
    assert read(file_of(video(edits=[(2000, 0, 1 << 16)] * 30))).duration_seconds == 2.0
