import io
import itertools
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anb import videos
from anb.errors import Invalid, Unavailable
from anb.mp4 import read_clip
from anb.ranged import (
    FILE_CHECK_BUDGET,
    MAX_BLOCK_BYTES,
    MIN_READ_AHEAD_BYTES,
    NEAR_BYTES,
    Budget,
    RangedFile,
    TooManyPieces,
)
from tests.boxes import FTYP, box, file_of, movie, recording, video

MIB = 1024 * 1024


class Store:
    """Serves ranges of an object and keeps which; without content, of zeros that exist only when they are read."""

    def __init__(self, content=None):
        self._content = content
        self.ranges = []

    def fetch(self, position, count):
        self.ranges.append((position, count))
        return bytes(count) if self._content is None else self._content[position : position + count]

    @property
    def requests(self):
        return len(self.ranges)

    @property
    def fetched_bytes(self):
        return sum(count for _, count in self.ranges)


def look(content):
    """Read a clip as the object store's adapter does; return it and the store."""
    store = Store(content)
    file = io.BufferedReader(RangedFile(store.fetch, size_bytes=len(content)))
    return read_clip(file, size_bytes=len(content)), store


def budget(**changes):
    return Budget(**{"max_requests": 10, "max_bytes": MIB, "max_seconds": 10} | changes)


# --- a file -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 90_000)), max_size=9), st.booleans())
def test_whatever_is_read_is_what_stands_there(reads, buffered):
    content = os.urandom(1000) * 180
    raw = RangedFile(Store(content).fetch, size_bytes=len(content))
    file = io.BufferedReader(raw) if buffered else raw

    for position, count in reads:
        file.seek(position)
        assert content[position : position + count].startswith(file.read(count))
        file.seek(position)
        assert b"".join(iter(lambda: file.read(50_000), b"")) == content[position:]


def test_it_seeks_like_a_file():
    file = RangedFile(Store(b"0123456789").fetch, size_bytes=10)

    assert (file.seek(-3, os.SEEK_END), file.read(2)) == (7, b"78")
    assert (file.seek(-4, os.SEEK_CUR), file.read(2), file.tell()) == (5, b"56", 7)
    assert (file.seek(50), file.read(1)) == (50, b"")


def test_seeking_fetches_nothing():
    store = Store(bytes(100))

    RangedFile(store.fetch, size_bytes=100).seek(0, os.SEEK_END)

    assert store.requests == 0


def test_an_error_of_the_store_reaches_the_reader():
    def fetch(_position, _count):
        raise ConnectionError

    with pytest.raises(ConnectionError):
        io.BufferedReader(RangedFile(fetch, size_bytes=100)).read(10)


# --- few requests, few bytes ------------------------------------------------------------------------------


def test_an_index_behind_100_mb_of_media_costs_three_requests_and_little_more_than_itself():
    index = movie(video(), box(b"udta", bytes(300_000)))

    clip, store = look(FTYP + box(b"mdat", bytes(99 * MIB)) + index)

    assert clip.frames == 60
    assert store.requests <= 3
    assert store.fetched_bytes < len(index) + 3 * MIN_READ_AHEAD_BYTES


def test_an_index_before_the_media_costs_one_request():
    _, store = look(FTYP + movie(video(offsets=(1000,))) + box(b"mdat", bytes(99 * MIB)))

    assert store.requests == 1


def test_what_is_there_already_is_not_fetched_again():
    content = os.urandom(1000)
    store = Store(content)
    file = RangedFile(store.fetch, size_bytes=1000, first=content[:600])

    assert file.read(500) == content[:500]
    assert store.requests == 0
    assert io.BufferedReader(file).read() == content[500:]
    assert store.ranges == [(600, 400)]


@pytest.mark.parametrize(
    ("fragments", "frames"), [(600, 3), (1800, 1), (120, 15)], ids=["100 ms", "one picture each", "500 ms"]
)
def test_a_recording_in_short_fragments_costs_at_most_40_requests(fragments, frames):
    clip, store = look(recording(fragments=fragments, frames=frames, fragment_bytes=99 * MIB // fragments))

    assert clip.duration_seconds == 60
    assert store.requests <= 40


def test_a_recording_in_long_fragments_is_not_fetched_whole():
    clip, store = look(recording(fragments=30, frames=60, fragment_bytes=3 * MIB))

    assert clip.duration_seconds == 60
    assert store.requests <= 31
    assert store.fetched_bytes < 3 * MIB


def test_a_file_of_10_000_empty_boxes_costs_at_most_40_requests():
    _, store = look(file_of(video(), media=box(b"mdat", bytes(3000)) + box(b"free", bytes(10_000)) * 9990))

    assert store.requests <= 40


def test_the_largest_block_is_all_that_is_held():
    store = Store()
    file = RangedFile(store.fetch, size_bytes=100 * MIB)

    while file.read(16 * MIB):
        pass

    assert max(count for _, count in store.ranges) == MAX_BLOCK_BYTES


# --- the budget -------------------------------------------------------------------------------------------


JUMPS = st.one_of(st.integers(0, 3 * NEAR_BYTES), st.integers(0, 10_000))


@given(st.lists(st.tuples(JUMPS, st.sampled_from([16, 1024, 70_000, 2 * MIB])), min_size=1))
@example([(0, 16)])
@example([(NEAR_BYTES + MIN_READ_AHEAD_BYTES + 16, 16)])
@example([(2 * NEAR_BYTES, 16)] + [(NEAR_BYTES, 16)] * 5)
@settings(max_examples=50)
def test_however_somebody_reads_forward_a_look_ends_within_its_budget(steps):
    store, size_bytes = Store(), FILE_CHECK_BUDGET.max_bytes
    file = RangedFile(store.fetch, size_bytes=size_bytes, clock=lambda: 0)

    for jump, count in itertools.islice(itertools.cycle(steps), 5000):
        file.read(count)
        file.seek(jump, os.SEEK_CUR)

    assert store.requests <= FILE_CHECK_BUDGET.max_requests
    assert store.fetched_bytes <= size_bytes


@pytest.mark.parametrize("changes", [{"max_requests": 3}, {"max_bytes": 3 * MIN_READ_AHEAD_BYTES + 100}])
def test_who_jumps_about_is_told_when_the_budget_is_spent(changes):
    store = Store()
    file = RangedFile(store.fetch, size_bytes=100 * MIB, budget=budget(**changes))

    for position in (0, 50 * MIB, 10 * MIB):
        file.seek(position)
        assert file.read(8) == bytes(8)
    file.seek(90 * MIB)
    with pytest.raises(TooManyPieces, match="demasiadas piezas pequeñas"):
        file.read(8)
    assert store.requests == 3


def test_a_spent_budget_is_told_as_what_is_wrong_with_the_file():
    content = recording(fragments=40, frames=30, fragment_bytes=2 * MIB)
    file = io.BufferedReader(
        RangedFile(Store(content).fetch, size_bytes=len(content), budget=budget(max_requests=30, max_bytes=100 * MIB))
    )

    with pytest.raises(Invalid) as refusal:
        videos.check_file(file, size_bytes=len(content))
    assert "demasiadas piezas pequeñas" in refusal.value.fields["video_file"]


def test_a_store_that_takes_too_long_is_not_the_files_fault():
    seconds = iter([0, 1, 11])
    store = Store()
    file = RangedFile(store.fetch, size_bytes=100 * MIB, budget=budget(max_seconds=10), clock=lambda: next(seconds))

    file.read(8)
    file.seek(50 * MIB)
    with pytest.raises(Unavailable, match="tarda demasiado"):
        file.read(8)
    assert store.requests == 1
