"""The samples, which are a video's frames, as the tables of its track count them."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from anb.mp4.boxes import MAX_SAMPLES, U32, U64, Boxes, only_box, optional_box, table_rows
from anb.mp4.errors import DAMAGED, NO_VIDEO, TOO_COMPLEX, TRUNCATED, UnreadableClip

MAX_FRAMES_PER_SECOND: Final = 480
MAX_FRAME_SECONDS: Final = 5  # constant frame rate would fill a longer gap with copies

_TOO_FAST = f"El video tiene más de {MAX_FRAMES_PER_SECOND} imágenes por segundo."
_FROZEN = f"El video tiene una imagen que dura más de {MAX_FRAME_SECONDS} segundos."


@dataclass(frozen=True, kw_only=True)
class Samples:
    """How many samples there are and how long they last, in ticks of the track's clock."""

    count: int = 0
    ticks: int = 0
    longest: int = 0  # the longest duration, gap or composition offset
    delay: int = 0  # from the first sample's decoding to its showing

    def __add__(self, other: "Samples") -> "Samples":
        return Samples(
            count=self.count + other.count,
            ticks=self.ticks + other.ticks,
            longest=max(self.longest, other.longest),
            delay=self.delay if self.count else other.delay,
        )


def table_samples(tables: Boxes, size_bytes: int) -> Samples:
    """What the tables of a track count; refuses samples that lie past the end of the file."""
    durations = list(table_rows(only_box(tables, b"stts"), struct.Struct(">II")))
    sizes = _sample_sizes(only_box(tables, b"stsz"))
    if sum(count for count, _ in durations) != len(sizes):
        raise UnreadableClip(DAMAGED)
    _check_chunks(tables, sizes, size_bytes)
    offsets = optional_box(tables, b"ctts")
    # Encoders write both signs whatever the version says
    shifts = [shift for _, shift in table_rows(offsets, struct.Struct(">Ii"))] if offsets else [0]
    return Samples(
        count=len(sizes),
        ticks=sum(count * delta for count, delta in durations),
        longest=max([*map(abs, shifts), *(delta for _, delta in durations)], default=0),
        delay=next(iter(shifts), 0),
    )


def _sample_sizes(box: memoryview) -> Sequence[int]:
    size, count = struct.unpack_from(">II", box, 4)
    if count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    return [size] * count if size else [each for (each,) in table_rows(box, U32, at=8)]


def _check_chunks(tables: Boxes, sizes: Sequence[int], size_bytes: int) -> None:
    """Every chunk of samples lies inside the file, and no sample is without a chunk."""
    if b"co64" in tables:
        offsets = [offset for (offset,) in table_rows(only_box(tables, b"co64"), U64)]
    else:
        offsets = [offset for (offset,) in table_rows(only_box(tables, b"stco"), U32)]
    ends = [0, *accumulate(sizes)]
    sample = 0
    for offset, count in zip(offsets, _samples_per_chunk(tables, len(offsets)), strict=False):
        following = min(sample + count, len(sizes))
        if offset + ends[following] - ends[sample] > size_bytes:
            raise UnreadableClip(TRUNCATED)
        sample = following
    if sample < len(sizes):
        raise UnreadableClip(DAMAGED)


def _samples_per_chunk(tables: Boxes, chunks: int) -> Iterator[int]:
    runs = [(first, count) for first, count, _ in table_rows(only_box(tables, b"stsc"), struct.Struct(">III"))]
    for (first, count), (following, _) in pairwise([*runs, (chunks + 1, 0)]):
        if not 1 <= first <= following or count == 0:
            raise UnreadableClip(DAMAGED)
        for _ in range(min(following, chunks + 1) - first):
            yield count


def check_pace(samples: Samples, timescale: int) -> None:
    if samples.count == 0:
        raise UnreadableClip(NO_VIDEO)
    if samples.count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    if samples.longest > MAX_FRAME_SECONDS * timescale:
        raise UnreadableClip(_FROZEN)
    # One frame more: the last one's duration is often left out
    if (samples.count - 1) * timescale > MAX_FRAMES_PER_SECOND * samples.ticks:
        raise UnreadableClip(_TOO_FAST)
