import io
import struct

import pytest

from anb.mp4 import read_clip
from tests.boxes import PICTURES, box, fragment, fragmented, full, moof, read, recording, refusal_of


def test_fragments_are_added_up():
    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=30_000, durations=[1000] * 15)))

    assert (clip.frames, clip.duration_seconds) == (45, 1.5)


def test_fragments_of_another_track_do_not_count():
    clip = read(
        fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=0, durations=[1000] * 9, track_id=7))
    )

    assert clip.frames == 30


def test_a_gap_of_hours_between_fragments_is_refused():
    message = refusal_of(
        fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=10**9, durations=[1000]))
    )

    assert "dura más de 5 segundos" in message


def test_a_fragment_that_ends_after_the_file_is_refused():
    assert "incompleto" in refusal_of(fragmented(fragment(start=0, durations=[1000] * 30, sample_bytes=1000)))


def test_each_fragment_is_read_once_and_in_passing():
    reads = []

    class Watched(io.BytesIO):
        def read(self, count=-1):
            reads.append(self.tell())
            return super().read(count)

    data = recording(fragments=20, frames=3, fragment_bytes=5000)
    read_clip(Watched(data), size_bytes=len(data))

    assert reads == sorted(set(reads))


def test_a_run_without_samples_counts_for_nothing_wherever_it_points():
    nowhere = full(b"trun", struct.pack(">Ii", 0, 1 << 30), flags=0x1)

    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), moof(nowhere)))

    assert clip.frames == 30


def test_a_gap_between_fragments_is_part_of_what_is_shown():
    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=60_000, durations=[1000] * 30)))

    assert (clip.frames, clip.duration_seconds) == (60, 3)


def test_the_last_picture_of_a_fragment_lasts_until_the_next_one_begins():
    overlong = fragment(start=0, durations=[1000] * 29 + [300_000])

    assert read(fragmented(overlong, fragment(start=30_000, durations=[1000] * 30))).duration_seconds == 2
    assert "dura más de 5 segundos" in refusal_of(
        fragmented(overlong, fragment(start=329_000, durations=[1000] * 30))
    )


def test_the_last_picture_of_the_last_fragment_may_last_as_long_as_it_likes():
    clip = read(fragmented(fragment(start=0, durations=[1000] * 29 + [300_000])))

    assert clip.duration_seconds == pytest.approx(29 / 30 + 10)


def test_fragments_may_begin_at_any_time():
    clip = read(fragmented(*(fragment(start=(100 + each) * 30_000, durations=[1000] * 30) for each in range(3))))

    assert clip.duration_seconds == 3


def test_a_run_without_an_offset_goes_on_where_the_one_before_has_ended():
    run = full(b"trun", struct.pack(">I", 15))
    inside, outside = (fragmented(moof(run, run, sample_bytes=size), PICTURES) for size in (100, 120))

    assert read(inside).frames == 30
    assert "incompleto" in refusal_of(outside)


@pytest.mark.parametrize("runs_after", [0, 1])
def test_a_run_that_begins_before_the_file_is_refused(runs_after):
    before = full(b"trun", struct.pack(">Ii", 15, -(1 << 20)), flags=0x1)
    inside = full(b"trun", struct.pack(">Ii", 15, 0), flags=0x1)

    assert "dañado" in refusal_of(fragmented(moof(before, *[inside] * runs_after, sample_bytes=100), PICTURES))


@pytest.mark.parametrize("boxes", [(), (b"styp", b"sidx"), (b"styp", b"prft", b"emsg")])
def test_a_minute_of_60_pictures_and_47_sounds_a_second_in_fragments_of_one_is_read(boxes):
    before = b"".join(box(kind, bytes(16)) for kind in boxes)
    pictures = [before + fragment(start=each * 500, durations=[500], media=PICTURES) for each in range(3600)]
    sounds = [before + fragment(start=each * 1024, durations=[1024], track_id=2) for each in range(2820)]

    assert read(fragmented(*pictures, *sounds)).duration_seconds == 60
