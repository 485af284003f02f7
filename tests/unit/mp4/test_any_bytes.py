from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from anb.mp4 import UnreadableClip
from tests.boxes import FTYP, X265_1918X1078, box, file_of, fragment, fragmented, hvcc, read, sample_entry, video

VALID = [
    file_of(video(handler=b"soun"), video(edits=[(2000, 0, 1)], shifts=[(60, 0)], track_id=2)),
    file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078)))),
    fragmented(fragment(start=0, durations=[1000] * 3)),
]


def read_or_refuse(data):
    with suppress(UnreadableClip):
        clip = read(data)
        assert clip.frames > 0
        assert clip.width * clip.height > 0
        assert clip.duration_seconds > 0


@given(st.binary(max_size=400))
@example(b"\x00\x00\x00\x01ftyp")
@example(b"\x00\x00\x00\x01ftyp" + b"\xff" * 8)
def test_any_bytes_are_read_or_refused(data):
    read_or_refuse(data)
    read_or_refuse(FTYP + data)
    read_or_refuse(FTYP + box(b"moov", data))


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=8), st.booleans()), max_size=6),
)
@settings(max_examples=400)
def test_any_change_to_a_valid_file_is_read_or_refused(data, changes):
    # The index is where a change can do harm
    starts = data.index(b"moov") - 4
    for position, replacement, insert in changes:
        at = starts + position % (len(data) - starts) if len(data) > starts else 0
        data = data[:at] + replacement + data[at if insert else at + len(replacement) :]

    read_or_refuse(data)
