"""The samples, which are a video's frames, as the tables of its track count them."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, repeat
from operator import add, attrgetter
from typing import Final, NamedTuple

from anb.mp4.boxes import MAX_SAMPLES, U32, U64, Boxes, only_box, optional_box, table_rows
from anb.mp4.errors import DAMAGED, NO_VIDEO, TOO_COMPLEX, TRUNCATED, UnreadableClip

MAX_FRAMES_PER_SECOND: Final = 480
MAX_FRAME_SECONDS: Final = 5  # constant frame rate would fill a longer gap with copies

_WRAP: Final = 1 << 32
# Durations are unsigned, but editors write negative ones to correct those before; ffmpeg takes 480,000 for the least
_LEAST_NEGATIVE: Final = _WRAP - 480_000

_TOO_FAST = f"El video tiene más de {MAX_FRAMES_PER_SECOND} imágenes por segundo."
_FROZEN = f"El video tiene una imagen que dura más de {MAX_FRAME_SECONDS} segundos."


class Place(NamedTuple):
    """Where a sample lies in the file."""

    position: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.position + self.size_bytes


NOWHERE: Final = Place(0, 0)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """How many samples there are and how long they last, in ticks of the track's clock."""

    count: int = 0
    ticks: int = 0
    longest: int = 0  # the longest duration but the last one's, gap or composition offset
    last: int = 0  # the duration of the last one
    shown_from: int = 0  # when the first one is shown, which may be decoded earlier
    shown_until: int = 0
    final_place: Place = NOWHERE  # of all that have bytes, the one that ends last

    def followed_by(self, other: "Samples", *, gap: int = 0) -> "Samples":
        """Both, the other beginning `gap` ticks after the end of this one, or before it."""
        if not self.count or not other.count:
            return other if other.count else self
        last = self.last + gap  # what is shown until the next one comes
        return Samples(
            count=self.count + other.count,
            ticks=self.ticks + gap + other.ticks,
            longest=max(self.longest, last, other.longest),
            last=other.last,
            shown_from=min(self.shown_from, other.shown_from),
            shown_until=max(self.shown_until, other.shown_until),
            final_place=max(self.final_place, other.final_place, key=_end_of),
        )


_end_of = attrgetter("end")


def table_samples(tables: Boxes, end: int) -> Samples:
    """What the tables of a track count; refuses samples that lie past `end`, where the file's boxes end."""
    sizes = _sample_sizes(tables)
    final_place = _check_chunks(tables, sizes, end)
    durations = _durations(table_rows(only_box(tables, b"stts"), struct.Struct(">II")), len(sizes))
    return timed_samples(durations, _shifts(tables, len(sizes)), final_place=final_place)


def timed_samples(durations: Sequence[int], shifts: Sequence[int], *, final_place: Place, start: int = 0) -> Samples:
    """Samples that follow each other from `start` on, each shown so much later than decoded; all in ticks."""
    if not durations:
        return Samples()
    times = accumulate(durations, initial=start)
    shown = [time + shift for time, shift in zip(times, shifts, strict=False)]
    return Samples(
        count=len(durations),
        ticks=sum(durations),
        longest=max([*durations[:-1], *map(abs, shifts)]),
        last=durations[-1],
        shown_from=min(shown),
        shown_until=max(map(add, shown, durations)),
        final_place=final_place,
    )


def _durations(rows: Iterable[tuple[int, ...]], count: int) -> Sequence[int]:
    """How long each of so many samples lasts, in ticks.

    As players do it: times of more samples than there are do not count, and the last one holds for any more.
    """
    durations: list[int] = []
    ticks = 0
    for number, delta in rows:
        taken = min(number, count - len(durations))
        if taken:
            step = delta
            if delta >= _LEAST_NEGATIVE and ticks + (delta - _WRAP) * taken >= 0:
                step = delta - _WRAP
            ticks += taken * step
            durations += repeat(step, taken)
    return durations + (durations[-1:] or [0]) * (count - len(durations))


def _shifts(tables: Boxes, count: int) -> Sequence[int]:
    """How much later than decoded each of so many samples is shown, in ticks; 0 where nobody says it."""
    offsets = optional_box(tables, b"ctts")
    shifts: list[int] = []
    # Encoders write both signs whatever the version says
    for number, shift in table_rows(offsets, struct.Struct(">Ii")) if offsets else ():
        shifts += repeat(shift, min(number, count - len(shifts)))
    return shifts + [0] * (count - len(shifts))


def _sample_sizes(tables: Boxes) -> Sequence[int]:
    if b"stz2" in tables:
        if b"stsz" in tables:  # the decoder might believe the other
            raise UnreadableClip(DAMAGED)
        return _compact_sizes(only_box(tables, b"stz2"))
    box = only_box(tables, b"stsz")
    size, count = struct.unpack_from(">II", box, 4)
    if count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    return [size] * count if size else [each for (each,) in table_rows(box, U32, at=8)]


def _compact_sizes(box: memoryview) -> Sequence[int]:
    """The sizes in an stz2 box, of 4, 8 or 16 bits each."""
    bits, count = box[7], U32.unpack_from(box, 8)[0]
    if count > MAX_SAMPLES:
        raise UnreadableClip(TOO_COMPLEX)
    fields = box[12 : 12 + (count * bits + 7) // 8]
    if bits not in (4, 8, 16) or len(fields) * 8 < count * bits:
        raise UnreadableClip(DAMAGED)
    if bits == 4:
        return [half for each in fields for half in (each >> 4, each & 15)][:count]
    return [size for (size,) in struct.iter_unpack(">H" if bits == 16 else ">B", fields)]


def _check_chunks(tables: Boxes, sizes: Sequence[int], end: int) -> Place:
    """Every chunk of samples lies inside the file, and no sample is without a chunk; returns the final place."""
    offsets = _chunk_offsets(tables)
    ends = [0, *accumulate(sizes)]
    sample = 0
    final_place = NOWHERE
    for offset, count in zip(offsets, _samples_per_chunk(tables, len(offsets)), strict=False):
        following = min(sample + count, len(sizes))
        if following == sample:  # a chunk without samples may point anywhere
            continue
        chunk_end = offset + ends[following] - ends[sample]
        if chunk_end > end:
            raise UnreadableClip(TRUNCATED)
        if offset == 0:  # where the file begins with something else
            raise UnreadableClip(DAMAGED)
        if chunk_end > final_place.end and sizes[following - 1]:
            final_place = Place(chunk_end - sizes[following - 1], sizes[following - 1])
        sample = following
    if sample < len(sizes):
        raise UnreadableClip(DAMAGED)
    return final_place


def table_places(tables: Boxes) -> Iterator[Place]:
    """Where the samples lie that the tables of a track count, in their order."""
    offsets = _chunk_offsets(tables)
    sizes = _sample_sizes(tables)
    sample = 0
    for offset, count in zip(offsets, _samples_per_chunk(tables, len(offsets)), strict=False):
        position = offset
        for size in sizes[sample : sample + count]:
            yield Place(position, size)
            position += size
        sample += count
        if sample >= len(sizes):
            return


def _chunk_offsets(tables: Boxes) -> Sequence[int]:
    if b"co64" in tables:
        return [offset for (offset,) in table_rows(only_box(tables, b"co64"), U64)]
    return [offset for (offset,) in table_rows(only_box(tables, b"stco"), U32)]


def _samples_per_chunk(tables: Boxes, chunks: int) -> Iterator[int]:
    runs = [(first, count) for first, count, _ in table_rows(only_box(tables, b"stsc"), struct.Struct(">III"))]
    if len(runs) > 1 and runs[-1][1] == 0:  # players go on with the row before
        runs.pop()
    for (first, count), (following, _) in pairwise([*runs, (chunks + 1, 0)]):
        if first > chunks:
            return
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
