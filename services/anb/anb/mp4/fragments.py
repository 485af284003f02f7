"""The samples in fragments, which follow outside the index."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from anb.mp4.boxes import MAX_SAMPLES, U32, U64, Boxes, boxes_in, only_box, optional_box
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, TRUNCATED, UnreadableClip
from anb.mp4.layout import Layout
from anb.mp4.samples import Samples

MAX_FRAGMENT_BOXES: Final = 100_000  # inside all moof together; those of a recording have 5 each

_I32: Final = struct.Struct(">i")


def fragment_samples(movie: Boxes, layout: Layout, track_id: int, size_bytes: int) -> Samples:
    """What the fragments hold of that track; refuses samples that lie past the end of the file."""
    total = Samples()
    if not layout.fragments:
        return total
    defaults = _track_defaults(movie, track_id)
    decoded_until: int | None = None
    for start, boxes in _track_fragments(layout.fragments):
        header = only_box(boxes, b"tfhd")
        if U32.unpack_from(header, 4)[0] != track_id:
            continue
        begin = _decode_time(boxes)
        fragment = _run_samples(boxes, header, defaults, start, size_bytes)
        total += fragment
        if begin is not None and decoded_until is not None:
            total += Samples(longest=max(0, begin - decoded_until))
        if total.count > MAX_SAMPLES:
            raise UnreadableClip(TOO_COMPLEX)
        decoded_until = (decoded_until or 0 if begin is None else begin) + fragment.ticks
    return total


def _track_fragments(fragments: Sequence[tuple[int, memoryview]]) -> Iterator[tuple[int, Boxes]]:
    """The boxes in each traf, and where its fragment begins."""
    found = 0
    for start, payload in fragments:
        fragment = boxes_in(payload)
        found += _box_count(fragment)
        for traf in fragment[b"traf"]:
            boxes = boxes_in(traf)
            found += _box_count(boxes)
            if found > MAX_FRAGMENT_BOXES:
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


def _run_samples(
    boxes: Boxes, header: memoryview, defaults: tuple[int, int], fragment_start: int, size_bytes: int
) -> Samples:
    """The samples of one traf."""
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
    total = Samples()
    for trun in boxes[b"trun"]:
        total += _run(trun, duration, size, base, size_bytes)
        if total.count > MAX_SAMPLES:
            raise UnreadableClip(TOO_COMPLEX)
    return total


def _run(trun: memoryview, duration: int, size: int, base: int, size_bytes: int) -> Samples:
    """The samples of one trun box; each row has the fields that its flags name."""
    flags, count = struct.unpack_from(">II", trun)
    if count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    if count == 0:
        return Samples()
    position = 8
    if flags & 0x1:
        base, position = base + _I32.unpack_from(trun, position)[0], position + 4
    if flags & 0x4:
        position += 4
    fields = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    row = struct.Struct(f">{len(fields)}I")
    if len(trun) - position < row.size * count:
        raise UnreadableClip(DAMAGED)
    rows = list(row.iter_unpack(trun[position : position + row.size * count])) if fields else []
    columns = dict(zip(fields, zip(*rows, strict=True), strict=False))
    durations = columns.get(0x100, (duration,) * count)
    shifts = [_signed(shift) for shift in columns.get(0x800, (0,))]
    if base + sum(columns.get(0x200, (size,) * count)) > size_bytes:
        raise UnreadableClip(TRUNCATED)
    return Samples(
        count=count,
        ticks=sum(durations),
        longest=max([*map(abs, shifts), *durations]),
        delay=shifts[0],
    )


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
