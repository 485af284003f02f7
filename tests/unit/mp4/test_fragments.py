import io
import struct

from anb.mp4 import read_clip
from tests.boxes import MDAT, fragment, fragmented, full, moof, read, recording, refusal_of


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


def test_a_minute_in_fragments_of_one_picture_or_sound_each_is_read():
    pictures = [fragment(start=each * 500, durations=[500], media=MDAT) for each in range(3600)]
    sounds = [fragment(start=each * 1024, durations=[1024], track_id=2) for each in range(2820)]

    assert read(fragmented(*pictures, *sounds)).duration_seconds == 60


def test_a_run_without_samples_counts_for_nothing_wherever_it_points():
    nowhere = full(b"trun", struct.pack(">Ii", 0, 1 << 30), flags=0x1)

    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), moof(nowhere)))

    assert clip.frames == 30
