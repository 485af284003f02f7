"""Mutates MP4 files for as long as it is told, and has the parser look at each: `make fuzz-mp4`.

Ends with 1 for the first look that raises anything but a refusal, takes more than a second of CPU or more than 64 MB,
and leaves the file.
"""

import io
import random
import resource
import struct
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import click

from anb import commands
from anb.mp4 import UnreadableClip, read_clip
from tests.boxes import (
    FTYP,
    PICTURES,
    X265_1918X1078,
    avc_sps,
    avcc,
    box,
    clap,
    colr,
    file_of,
    fragment,
    fragmented,
    full,
    hevc_sps_with_every_tool,
    hvcc,
    movie,
    pasp,
    sample_entry,
    usability,
    video,
)
from tests.rewriting import Box

MAX_CPU_SECONDS = 1.0
MAX_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 20 * 1024 * 1024
_MAX_PARSED_BYTES = 100_000  # by us, box by box
_TELLING = (0, 1, 2, 7, 8, 9, 15, 16, 255, 256, 999, 1000, 1001, 65_535, 79_999, 80_000, 80_001, 2**31 - 1, 2**31)
_NEGATIVE = (2**32 - 480_000, 2**32 - 8, 2**32 - 1)


def seeds() -> list[bytes]:
    """Files that are accepted, each with parts of its own."""
    stated = usability(pixel_shape=(4, 3), colours=(9, 18, 9), full_range=1)
    described = sample_entry(
        *(b"avc1", avcc(avc_sps(1920, 1080, stated)), pasp(4, 3), clap(1900, 1000), colr(9, 18, 9)),
        width=1920,
        height=1080,
    )
    in_samples = b"\x00\x00\x00\x20" + avc_sps(1920, 1080).ljust(32, b"\x80") + b"\x00\x00\x00\x05" + b"\x65" * 5
    return [
        file_of(video(handler=b"soun"), video(edits=[(2000, 0, 1)], shifts=[(60, 0)], track_id=2), media=PICTURES),
        file_of(video(entry=described, presentation=(1920, 1080), deltas=((20, 1000), (20, 999), (20, 1001)))),
        file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078)))),
        file_of(
            video(size=(320, 180), track_id=2),
            video(entry=sample_entry(b"hev1", hvcc(hevc_sps_with_every_tool(stated)))),
        ),
        file_of(video(sizes_table=full(b"stz2", struct.pack(">II", 8, 60), b"\x0a" * 60))),
        FTYP + movie(video(sample_bytes=50, offsets=[600], presentation=(1920, 1080))) + PICTURES + bytes(500),
        FTYP
        + box(b"mdat", in_samples * 60)
        + movie(video(entry=sample_entry(b"avc3", avcc()), sample_bytes=len(in_samples), offsets=[32])),
        fragmented(*(fragment(start=each * 3000, durations=[1000] * 3, media=PICTURES) for each in range(4))),
    ]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The file after one to six changes, most of them of numbers."""
    changes = (_set_number, _flip, _shuffle_boxes, _move, _repeat, _cut_and_fill)
    for change in chance.choices(changes, (12, 6, 4, 1, 1, 1), k=chance.randint(1, 6)):
        data = change(data, chance)[:MAX_FILE_BYTES]
    return data


def _place(data: bytes, chance: random.Random) -> int:
    """Rather in an index than in media, which is the same byte over and over."""
    for _ in range(8):
        at = chance.randrange(max(1, len(data) - 4))
        if len({*data[at : at + 16]}) > 1:
            break
    return at


def _set_number(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    number = chance.choice(_TELLING + _NEGATIVE) if chance.random() < 0.8 else chance.getrandbits(32)
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + bytes((chance.getrandbits(8),)) + data[at + 1 :]


def _move(data: bytes, chance: random.Random) -> bytes:
    start, end, to = sorted(chance.randrange(len(data) + 1) for _ in range(3))
    return data[:start] + data[end:to] + data[start:end] + data[to:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    length = chance.choice((8, 16, 24, 100, 500))
    times = min(chance.choice((2, 2, 10, 10, 1000, 100_000)), MAX_FILE_BYTES // length)
    return data[:start] + data[start : start + length] * times + data[start + length :]


def _shuffle_boxes(data: bytes, chance: random.Random) -> bytes:
    """Take boxes away and give them again many times, with the lengths around them right."""
    if len(data) > _MAX_PARSED_BYTES:
        return data
    with suppress(struct.error, RecursionError, ValueError):
        file = Box.parse(data)
        parents = [parent for parent in _all(file) if parent.boxes]
        if not parents:  # all that is left is less than a box
            return data
        parent = chance.choice(parents)
        taken = chance.choice(parent.boxes)
        length = max(1, len(bytes(taken)))
        parent.boxes.remove(taken)
        times = chance.choice((0, 0, 0, 1, 1, 1, 2, 2, 20, 900, 30_000, 300_000))
        target = chance.choice(parents)
        at = chance.randint(0, len(target.boxes))
        target.boxes[at:at] = [taken] * min(times, MAX_FILE_BYTES // length)
        return bytes(file)
    return data


def _all(box: Box) -> list[Box]:
    return [box, *(inner for each in box.boxes for inner in _all(each))]


def _cut_and_fill(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(16, max(16, len(data)))] + bytes(chance.choice((0, 1, 100, 5000)))


def look(data: bytes) -> tuple[str, float]:
    """What the parser says about the file, and the CPU seconds it takes for that."""
    started = time.process_time()
    try:
        read_clip(io.BytesIO(data), size_bytes=len(data))
        said = "accepted"
    except UnreadableClip as refusal:
        said = refusal.message
    return said, time.process_time() - started


def _memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@click.command()
@click.argument("seconds", type=click.FloatRange(min=0, min_open=True))
@click.argument("seed", type=int, required=False)
def fuzz(seconds: float, seed: int | None) -> int:
    """Look at mutations for so many SECONDS; a SEED repeats what an earlier run has tried."""
    seed = time.time_ns() if seed is None else seed
    chance = random.Random(seed)  # noqa: S311 - what is tried is no secret
    files = seeds()
    answers: Counter[str] = Counter()
    dearest = 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data = mutated(chance.choice(files), chance)
        before = _memory_bytes()
        try:
            said, cpu_seconds = look(data)
        except Exception:
            Path("fuzz-mp4.mp4").write_bytes(data)
            raise
        grown = _memory_bytes() - before
        if cpu_seconds > MAX_CPU_SECONDS or grown > MAX_BYTES:
            Path("fuzz-mp4.mp4").write_bytes(data)
            click.echo(f"{cpu_seconds:.2f} s of CPU, {grown / 1024**2:.0f} MB for fuzz-mp4.mp4: {said}")
            return commands.FAILED
        dearest = max(dearest, cpu_seconds)
        answers[said.partition(":")[0]] += 1
    for said, count in answers.most_common(12):
        click.echo(f"{count:8} {said}")
    click.echo(f"{answers.total()} files (seed {seed}); the dearest took {dearest:.2f} s of CPU")
    return commands.DONE


if __name__ == "__main__":
    sys.exit(commands.run(fuzz, program="tests.mutations", errors={}))
