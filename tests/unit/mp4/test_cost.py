import struct
import sys
import tracemalloc
from contextlib import suppress

import pytest

from anb.mp4 import UnreadableClip
from anb.mp4.tracks import MAX_VIDEO_TRACKS
from tests.boxes import (
    FTYP,
    MDAT,
    avcc,
    box,
    file_of,
    fragment,
    fragmented,
    full,
    hevc_sps_with_every_tool,
    hvcc,
    moof,
    movie,
    read,
    sample_entry,
    video,
)


def nested(depth):
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", 8 + len(data), b"trak") + data
    return data


def many_parameter_sets():
    unit = b"\x67" + bytes(3)
    return sample_entry(b"avc1", avcc(*[unit] * 31))


def with_large_tables(rows):
    """A track with as many rows in each of its tables as it has samples, and as many chunks."""
    return video(
        deltas=((1, 1000),) * rows,
        shifts=((1, 1000),) * rows,
        sizes=(1,) * rows,
        offsets=(3,) * rows,
        per_chunk=1,
    )


EMPTY_RUN = full(b"trun", struct.pack(">I", 0))
RUN_OF_ONE = full(b"trun", struct.pack(">I", 1))

HURTFUL = {
    "boxes": FTYP + box(b"free") * 1_000_000,
    "boxes in the index": file_of(box(b"free") * 1_000_000),
    "nesting": file_of(nested(20_000)),
    "tracks": file_of(*[box(b"trak", box(b"mdia", box(b"free") * 999))] * 16),
    "parameter sets": file_of(video(entry=many_parameter_sets(), descriptions=8)),
    "one table": file_of(video(deltas=((1, 1000),) * 80_000, sample_bytes=0)),
    "all tables": FTYP + MDAT + movie(with_large_tables(80_000), box(b"free", bytes(12 * 1024 * 1024))),
    "fragments": fragmented(*[fragment(start=0, durations=[])] * 900),
    "more fragments than a recording has": fragmented(moof(RUN_OF_ONE) * 50_000),
    "fragments without media": fragmented(moof(RUN_OF_ONE) * 19_990),
    "empty runs": fragmented(moof(EMPTY_RUN * 900, times=30) * 9),
    "runs of one sample": fragmented(moof(RUN_OF_ONE * 900, times=30) * 9),
    "boxes in fragments": fragmented(moof(box(b"free") * 900, times=30) * 19),
    "fragments of another track": fragmented(moof(track_id=7, times=900) * 120),
    "a run of many samples": fragmented(fragment(start=0, durations=[1000] * 79_000, sample_bytes=0)),
}


ALL_TRACKS = range(1, MAX_VIDEO_TRACKS + 1)


def in_all_tracks(entry, **tables):
    return [video(entry=entry, descriptions=8, track_id=number, **tables) for number in ALL_TRACKS]


def looked_for_in_samples(**tables):
    """Tracks whose parameter sets have to be looked for, and are nowhere."""
    entry = sample_entry(b"avc3", avcc())
    return (
        FTYP + MDAT + movie(*(video(entry=entry, descriptions=8, track_id=number, **tables) for number in ALL_TRACKS))
    )


HURTFUL |= {
    "parameter sets of every tool": file_of(
        *in_all_tracks(sample_entry(b"hvc1", hvcc(*[hevc_sps_with_every_tool("0")] * 16)))
    ),
    "parameter sets in samples of zeros": looked_for_in_samples(sample_bytes=700, count=4, offsets=(32,)),
    "parameter sets behind large tables": looked_for_in_samples(
        offsets=(3,) * 79_000, chunks=[(number, 1) for number in range(1, 79_001)]
    ),
}

MAX_LINES = 6_000_000  # of ours, some half a second of CPU; lines are counted, because seconds are the machine's


def lines_run(data):
    """Return how many lines of the reader it takes to read the file, or to refuse it."""
    lines = 0

    def count(_frame, event, _argument):
        nonlocal lines
        lines += event == "line"
        return count

    def enter(frame, _event, _argument):
        return count if frame.f_globals["__name__"].startswith("anb.") else None

    sys.settrace(enter)
    try:
        with suppress(UnreadableClip):
            read(data)
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize("data", HURTFUL.values(), ids=HURTFUL.keys())
def test_a_file_made_to_be_slow_is_done_at_once(data):
    assert 0 < lines_run(data) < MAX_LINES


def test_262_000_empty_runs_cost_next_to_nothing():
    runs = fragmented(moof(EMPTY_RUN * 994) * 262)

    assert 0 < lines_run(runs) < MAX_LINES / 3


@pytest.mark.parametrize("name", ["all tables", "a run of many samples", "fragments without media"])
def test_a_look_takes_at_most_64_mb(name):
    tracemalloc.start()
    with suppress(UnreadableClip):
        read(HURTFUL[name])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 1024 * 1024
