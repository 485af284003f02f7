"""Boxes inside boxes, and the tables in them."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from anb.mp4.errors import DAMAGED, TOO_COMPLEX, UnreadableClip

MAX_BOXES_INSIDE: Final = 1_000
MAX_SAMPLES: Final = 80_000  # and rows of any table

Boxes = dict[bytes, list[memoryview]]

U16: Final = struct.Struct(">H")
U32: Final = struct.Struct(">I")
U64: Final = struct.Struct(">Q")


def read_header(data: memoryview, left: int) -> tuple[bytes, int, int]:
    """Type, whole length and header length of the box that begins here; `left` bytes remain.

    The length is what stands there: it may be less than the header or more than is left.
    """
    length, kind, header_bytes = U32.unpack_from(data)[0], bytes(data[4:8]), 8
    if length == 1:
        length, header_bytes = U64.unpack_from(data, 8)[0], 16
    elif length == 0:  # to the end of whatever holds it
        length = left
    return kind, length, header_bytes


def boxes_in(data: memoryview) -> Boxes:
    """The boxes of a container by type, in their order."""
    boxes: Boxes = defaultdict(list)
    for number, (kind, payload) in enumerate(each_box(data)):
        if number >= MAX_BOXES_INSIDE:
            raise UnreadableClip(TOO_COMPLEX)
        boxes[kind].append(payload)
    return boxes


def each_box(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    while len(data) >= 8:
        kind, length, header_bytes = read_header(data, len(data))
        if not header_bytes <= length <= len(data):
            raise UnreadableClip(DAMAGED)
        yield kind, data[header_bytes:length]
        data = data[length:]


def only_box(boxes: Boxes, kind: bytes) -> memoryview:
    """The one box of that type: with two of them, the decoder might believe the other."""
    found = boxes.get(kind, [])
    if len(found) != 1:
        raise UnreadableClip(DAMAGED)
    return found[0]


def optional_box(boxes: Boxes, kind: bytes) -> memoryview | None:
    return only_box(boxes, kind) if kind in boxes else None


def table_rows(box: memoryview, row: struct.Struct, *, at: int = 4) -> Iterator[tuple[int, ...]]:
    """The rows of a table whose count stands at `at`."""
    count = U32.unpack_from(box, at)[0]
    if count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    rows = box[at + 4 : at + 4 + count * row.size]
    if len(rows) < count * row.size:
        raise UnreadableClip(DAMAGED)
    return row.iter_unpack(rows)


def read_timescale(box: memoryview) -> int:
    """The timescale of an mvhd or mdhd box, in ticks per second."""
    timescale: int = U32.unpack_from(box, 20 if box[0] == 1 else 12)[0]
    if timescale == 0:
        raise UnreadableClip(DAMAGED)
    return timescale
