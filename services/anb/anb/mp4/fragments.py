"""The samples in fragments, which follow outside the index."""

import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final

from anb.mp4.boxes import MAX_SAMPLES, U32, U64, Boxes, boxes_in, only_box, optional_box
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, TRUNCATED, UnreadableClip
from anb.mp4.layout import Layout
from anb.mp4.samples import NOWHERE, Place, Samples, timed_samples

MAX_BOXES_IN_FRAGMENTS: Final = 100_000  # inside all moof together; those of a recording have 5 each

_I32: Final = struct.Struct(">i")
_DURATIONS, _SIZES, _SHIFTS = 0x100, 0x200, 0x800  # flags of trun: what its rows have
_FIELDS: Final = (_DURATIONS, _SIZES, 0x400, _SHIFTS)


def fragment_samples(movie: Boxes, layout: Layout, track_id: int, before: Samples) -> Samples:
    """The samples of that track in index and fragments; refuses some that lie past the end of the file's boxes.

    A fragment begins at the time that it states: what lies between it and the one before counts, too.
    """
    if not layout.fragments:
        return before
    total = before
    defaults = _track_defaults(movie, track_id)
    decoded_until = before.ticks if before.count else None
    for start, boxes in _track_fragments(layout.fragments):
        header = only_box(boxes, b"tfhd")
        if U32.unpack_from(header, 4)[0] != track_id:
            continue
        begin = _decode_time(boxes)
        if begin is None:
            begin = decoded_until or 0
        fragment = _run_samples(boxes, defaults, begin, fragment_start=start, end=layout.end)
        if not fragment.count:
            continue
        total = total.followed_by(fragment, gap=0 if decoded_until is None else begin - decoded_until)
        if total.count > MAX_SAMPLES:
            raise UnreadableClip(TOO_COMPLEX)
        decoded_until = begin + fragment.ticks
    return total


def fragment_places(movie: Boxes, layout: Layout, track_id: int) -> Iterator[Place]:
    """Where the samples lie that the fragments hold of that track, in their order."""
    if not layout.fragments:
        return
    defaults = _track_defaults(movie, track_id)
    for start, boxes in _track_fragments(layout.fragments):
        header = only_box(boxes, b"tfhd")
        if U32.unpack_from(header, 4)[0] == track_id:
            base, _, size = _fragment_defaults(header, defaults, start)
            position = base
            for trun in boxes[b"trun"]:
                count = min(U32.unpack_from(trun, 4)[0], MAX_SAMPLES)
                offset, columns = _read_run(trun, count)
                position = position if offset is None else base + offset
                for each in columns.get(_SIZES) or repeat(size, count):
                    yield Place(position, each)
                    position += each


def _track_fragments(fragments: Sequence[tuple[int, memoryview]]) -> Iterator[tuple[int, Boxes]]:
    """The boxes in each traf, and where its fragment begins."""
    found = 0
    for start, payload in fragments:
        fragment = boxes_in(payload)
        found += _box_count(fragment)
        for traf in fragment[b"traf"]:
            boxes = boxes_in(traf)
            found += _box_count(boxes)
            if found > MAX_BOXES_IN_FRAGMENTS:
                raise UnreadableClip(TOO_COMPLEX)
            yield start, boxes


def _box_count(boxes: Boxes) -> int:
    return sum(map(len, boxes.values()))


def _track_defaults(movie: Boxes, track_id: int) -> tuple[int, int]:
    """Duration and size of a sample where a fragment states none."""
    extends = boxes_in(only_box(movie, b"mvex"))
    for trex in extends[b"trex"]:
        track, _, duration, size = struct.unpack_from(">IIII", trex, 4)
        if track == track_id:
            return duration, size
    raise UnreadableClip(DAMAGED)


def _decode_time(boxes: Boxes) -> int | None:
    box = optional_box(boxes, b"tfdt")
    if box is None:
        return None
    time: int = (U64 if box[0] == 1 else U32).unpack_from(box, 4)[0]
    return time


def _run_samples(boxes: Boxes, defaults: tuple[int, int], begin: int, *, fragment_start: int, end: int) -> Samples:
    """The samples of one traf, decoded from the tick `begin` on."""
    base, duration, size = _fragment_defaults(only_box(boxes, b"tfhd"), defaults, fragment_start)
    durations: list[int] = []
    shifts: list[int] = []
    final_place, following = NOWHERE, base
    for trun in boxes[b"trun"]:
        count = U32.unpack_from(trun, 4)[0]
        if count == 0:  # it says nothing, wherever it points
            continue
        if len(durations) + count > MAX_SAMPLES:
            raise UnreadableClip(TOO_COMPLEX)
        offset, columns = _read_run(trun, count)
        sizes = columns.get(_SIZES) or (size,) * count
        # Without an offset a run goes on where the one before has ended
        start = following if offset is None else base + offset
        if start < 0:
            raise UnreadableClip(DAMAGED)
        following = start + sum(sizes)
        if following > end:
            raise UnreadableClip(TRUNCATED)
        if sizes[-1]:
            final_place = Place(following - sizes[-1], sizes[-1])
        durations += columns.get(_DURATIONS) or (duration,) * count
        shifts += columns.get(_SHIFTS) or (0,) * count
    return timed_samples(durations, [_signed(shift) for shift in shifts], final_place=final_place, start=begin)


def _fragment_defaults(header: memoryview, defaults: tuple[int, int], fragment_start: int) -> tuple[int, int, int]:
    """From where a tfhd box counts positions, and the duration and size of samples that state none."""
    flags = U32.unpack_from(header)[0]
    duration, size = defaults
    base, position = fragment_start, 8
    if flags & 0x1:
        base, position = U64.unpack_from(header, position)[0], position + 8
    if flags & 0x2:
        position += 4
    if flags & 0x8:
        duration, position = U32.unpack_from(header, position)[0], position + 4
    if flags & 0x10:
        size = U32.unpack_from(header, position)[0]
    return base, duration, size


def _read_run(trun: memoryview, count: int) -> tuple[int | None, dict[int, tuple[int, ...]]]:
    """Where the samples of a trun box begin, from its fragment's base, and what it states of each, by its flag."""
    flags = U32.unpack_from(trun)[0]
    position, offset = 8, None
    if flags & 0x1:
        offset, position = _I32.unpack_from(trun, position)[0], position + 4
    if flags & 0x4:
        position += 4
    fields = [flag for flag in _FIELDS if flags & flag]
    if not fields:
        return offset, {}
    row = struct.Struct(f">{len(fields)}I")
    if len(trun) - position < row.size * count:
        raise UnreadableClip(DAMAGED)
    rows = row.iter_unpack(trun[position : position + row.size * count])
    return offset, dict(zip(fields, zip(*rows, strict=True), strict=True))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
