"""What an MP4 file really contains, read from its index without decoding a frame.

A file that somebody sent meets this reader before any C code does. It reads box headers, the index and the
fragment indexes, and skips the rest; every count is checked against the box that holds it before it is used.
What it refuses is a file that no decoder should be given; whether a clip suits the showcase (20 to 60
seconds, 1080p) is not decided here.

Box layouts: ISO/IEC 14496-12 (boxes, fragments) and 14496-15 (avcC, hvcC).
"""

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import BinaryIO, Final, Literal, NamedTuple

from anb import sps
from anb.errors import Invalid
from anb.ranged import TOO_MANY_PIECES

MOST_INDEX_BYTES: Final = 16 * 1024 * 1024  # moov; an hour of phone video needs 2 MiB
MOST_FRAGMENT_BYTES: Final = 4 * 1024 * 1024  # all moof together: 16 bytes a sample, and their headers
# A minute of 60 pictures and 47 pieces of sound a second, each a fragment of two boxes, has 12,840
MOST_FILE_BOXES: Final = 20_000
MOST_FRAGMENT_BOXES: Final = 100_000  # inside all moof together; those of such a recording have 5 each
MOST_BOXES_INSIDE: Final = 1_000
MOST_TRACKS: Final = 16
MOST_DESCRIPTIONS: Final = 8  # of one track's samples
MOST_CONFIGURATION_BYTES: Final = 16 * 1024
MOST_SAMPLES: Final = 80_000
MOST_EDITS: Final = 100
MOST_PIXELS: Final = 4096 * 2304  # a little over 4K; a larger picture costs memory before it is refused
LONGEST_SIDE: Final = 4096
MOST_FRAMES_PER_SECOND: Final = 480
LONGEST_FRAME_SECONDS: Final = 5  # constant frame rate would fill a longer gap with copies

Codec = Literal["h264", "hevc"]
Boxes = dict[bytes, list[memoryview]]

_BRANDS: Final = frozenset(
    {b"isom", b"avc1", b"mp41", b"mp42", b"mp71", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"XAVC", b"dash"}
    | {b"cmfc", b"cmf2", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"hvc1"}
)
_CODECS: Final[dict[bytes, Codec]] = {
    **dict.fromkeys((b"avc1", b"avc3"), "h264"),
    **dict.fromkeys((b"hvc1", b"hev1", b"dvh1", b"dvhe"), "hevc"),
}
_STILL_PICTURES: Final = frozenset({b"jpeg", b"mjpg", b"mjp2", b"png ", b"gif "})
_HEVC_SPS: Final = 33  # NAL unit type

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_I32 = struct.Struct(">i")
_MATRIX = struct.Struct(">iixxxxii")
_VISUAL_SAMPLE_ENTRY_BYTES: Final = 78  # its fields before the boxes inside

_NOT_MP4 = "El archivo no es un video MP4."
_QUICKTIME = "El archivo es un video QuickTime (MOV); conviértelo a MP4."
_TRUNCATED = "El video está incompleto: el archivo termina antes de tiempo."
_NO_INDEX = "El video está incompleto: le falta el índice."
_DAMAGED = "El video está dañado: su índice no se puede leer."
_NO_VIDEO = "El archivo no contiene video."
_ONLY_A_PICTURE = "El archivo contiene una imagen fija, no un video."
_ENCRYPTED = "El video está cifrado; se aceptan videos H.264 o HEVC sin protección."
_TOO_COMPLEX = "El índice del video es demasiado grande."
_TOO_FAST = f"El video tiene más de {MOST_FRAMES_PER_SECOND} imágenes por segundo."
_FROZEN = f"El video tiene una imagen que dura más de {LONGEST_FRAME_SECONDS} segundos."


class UnreadableClip(Invalid):
    """The file is not a whole H.264 or HEVC video in MP4, or is built to hurt whoever decodes it."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The video track of a file, as its index has it.

    `width` and `height` are pixels as shown: cropped and turned. `duration_seconds` is what the edit list
    shows of the samples that exist. `configuration` is the decoder's set-up (the avcC or hvcC box).
    """

    width: int
    height: int
    duration_seconds: float
    codec: Codec
    frames: int
    track_id: int
    tracks: int
    index_first: bool
    configuration: bytes


class _FileBox(NamedTuple):
    """Where a box of the file and what is in it begin, and how long that is."""

    kind: bytes
    start: int
    body: int
    body_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The parts of a file that are read whole; `fragments` pairs each moof with its position."""

    index: memoryview
    index_first: bool
    fragments: Sequence[tuple[int, memoryview]]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    codec: Codec
    width: int
    height: int
    configuration: bytes


@dataclass(frozen=True, kw_only=True)
class _Samples:
    """How many samples there are and how long they last, in ticks of the track's clock."""

    count: int = 0
    ticks: int = 0
    longest: int = 0  # the longest duration, gap or composition offset
    delay: int = 0  # from the first sample's decoding to its showing

    def __add__(self, other: "_Samples") -> "_Samples":
        return _Samples(
            count=self.count + other.count,
            ticks=self.ticks + other.ticks,
            longest=max(self.longest, other.longest),
            delay=self.delay if self.count else other.delay,
        )


def read_clip(file: BinaryIO, *, size_bytes: int) -> Clip:
    """Describe the first video track of an MP4 file of `size_bytes`; any seekable file will do.

    Reads the index, at most MOST_INDEX_BYTES, and skips the media. Raises UnreadableClip, with a sentence
    for the sender, for whatever is not a whole and harmless H.264 or HEVC video; OSError if reading fails.
    """
    try:
        return _clip(_layout(file, size_bytes), size_bytes)
    except (struct.error, IndexError) as error:  # a field that should lie where its box has ended
        raise UnreadableClip(_DAMAGED) from error


# --- the file ---------------------------------------------------------------------------------------------


def _layout(file: BinaryIO, size_bytes: int) -> _Layout:
    """Walk over the boxes of the file once, forward, and read what matters in passing."""
    index: memoryview | None = None
    index_first = True
    fragments: list[tuple[int, memoryview]] = []
    fragment_bytes = 0
    for box in _file_boxes(file, size_bytes):
        if box.kind == b"moov":
            if index is not None:
                raise UnreadableClip(_DAMAGED)
            if box.body_bytes > MOST_INDEX_BYTES:
                raise UnreadableClip(_TOO_COMPLEX)
            index = memoryview(_read(file, box.body, box.body_bytes))
        elif box.kind == b"moof":
            fragment_bytes += box.body_bytes
            if fragment_bytes > MOST_FRAGMENT_BYTES:
                raise UnreadableClip(_TOO_COMPLEX)
            fragments.append((box.start, memoryview(_read(file, box.body, box.body_bytes))))
        elif box.kind == b"mdat":
            index_first = index_first and index is not None
    if index is None:
        raise UnreadableClip(_NO_INDEX)
    return _Layout(index=index, index_first=index_first, fragments=fragments)


def _file_boxes(file: BinaryIO, size_bytes: int) -> Iterator[_FileBox]:
    """The boxes of the file, which begin with ftyp and end where the file does."""
    if size_bytes == 0:
        raise UnreadableClip("El archivo está vacío.")
    if size_bytes < 16:
        raise UnreadableClip(_NOT_MP4)
    position = 0
    for _ in range(MOST_FILE_BOXES):
        left = size_bytes - position
        if left < 8:  # too little for a box
            return
        kind, length, header_bytes = _header(memoryview(_read(file, position, min(16, left))), left)
        if position == 0 and kind != b"ftyp":
            raise UnreadableClip(_NOT_MP4)
        if length > left:
            raise UnreadableClip(_TRUNCATED)
        body, body_bytes = position + header_bytes, length - header_bytes
        if position == 0:
            _check_brand(_read(file, body, min(body_bytes, 1024)))
        yield _FileBox(kind, position, body, body_bytes)
        position += length
    raise UnreadableClip(TOO_MANY_PIECES)


def _header(data: memoryview, left: int) -> tuple[bytes, int, int]:
    """Type, whole length and header length of the box that begins here; `left` bytes remain."""
    length, kind, header_bytes = _U32.unpack_from(data)[0], bytes(data[4:8]), 8
    if length == 1:
        length, header_bytes = _U64.unpack_from(data, 8)[0], 16
    elif length == 0:  # to the end of whatever holds it
        length = left
    if length < header_bytes:
        raise UnreadableClip(_DAMAGED)
    return kind, length, header_bytes


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    data = file.read(count)
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            raise UnreadableClip(_TRUNCATED)
        data += more
    return data


def _check_brand(brands: bytes) -> None:
    """Refuse a file whose ftyp box names no MP4 brand: the major one first, then its version, then more."""
    names = {brands[:4], *(brands[at : at + 4] for at in range(8, len(brands), 4))}
    if not names & _BRANDS:
        raise UnreadableClip(_QUICKTIME if b"qt  " in names else _NOT_MP4)


# --- boxes inside boxes -----------------------------------------------------------------------------------


def _inside(data: memoryview) -> Boxes:
    """The boxes of a container by type, in their order."""
    boxes: Boxes = defaultdict(list)
    for number, (kind, payload) in enumerate(_each(data)):
        if number >= MOST_BOXES_INSIDE:
            raise UnreadableClip(_TOO_COMPLEX)
        boxes[kind].append(payload)
    return boxes


def _each(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    while len(data) >= 8:
        kind, length, header_bytes = _header(data, len(data))
        if length > len(data):
            raise UnreadableClip(_DAMAGED)
        yield kind, data[header_bytes:length]
        data = data[length:]


def _only(boxes: Boxes, kind: bytes) -> memoryview:
    """The one box of that type: with two of them, the decoder might believe the other."""
    found = boxes.get(kind, [])
    if len(found) != 1:
        raise UnreadableClip(_DAMAGED)
    return found[0]


def _at_most_one(boxes: Boxes, kind: bytes) -> memoryview | None:
    return _only(boxes, kind) if kind in boxes else None


def _table(box: memoryview, row: struct.Struct, *, at: int = 4) -> Iterator[tuple[int, ...]]:
    """The rows of a table whose count stands at `at`."""
    count = _U32.unpack_from(box, at)[0]
    if count > MOST_SAMPLES:
        raise UnreadableClip(_TOO_COMPLEX)
    rows = box[at + 4 : at + 4 + count * row.size]
    if len(rows) < count * row.size:
        raise UnreadableClip(_DAMAGED)
    return row.iter_unpack(rows)


def _clock(box: memoryview) -> int:
    """The timescale of an mvhd or mdhd box, in ticks per second."""
    timescale: int = _U32.unpack_from(box, 20 if box[0] == 1 else 12)[0]
    if timescale == 0:
        raise UnreadableClip(_DAMAGED)
    return timescale


# --- the track --------------------------------------------------------------------------------------------


def _clip(layout: _Layout, size_bytes: int) -> Clip:
    movie = _inside(layout.index)
    if b"cmov" in movie:  # a compressed index of 1.5 MB can unfold to 1.5 GB
        raise UnreadableClip(_TOO_COMPLEX)
    if len(movie[b"trak"]) > MOST_TRACKS:
        raise UnreadableClip(_TOO_COMPLEX)
    track, media, tables = _video_track(movie)
    header = _only(track, b"tkhd")
    track_id = _U32.unpack_from(header, 20 if header[0] == 1 else 12)[0]
    picture = _picture(_only(tables, b"stsd"))
    samples = _samples(tables, size_bytes) + _fragment_samples(movie, layout, track_id, size_bytes)
    timescale = _clock(_only(media, b"mdhd"))
    _check_pace(samples, timescale)
    width, height = picture.width, picture.height
    return Clip(
        width=height if _lies_on_its_side(header) else width,
        height=width if _lies_on_its_side(header) else height,
        duration_seconds=_shown_seconds(track, movie, samples, timescale),
        codec=picture.codec,
        frames=samples.count,
        track_id=track_id,
        tracks=len(movie[b"trak"]),
        index_first=layout.index_first,
        configuration=picture.configuration,
    )


def _video_track(movie: Boxes) -> tuple[Boxes, Boxes, Boxes]:
    """The boxes in trak, mdia and stbl of the first track that we decode; without one, of the first video."""
    found = []
    for trak in movie[b"trak"]:
        track = _inside(trak)
        media = _inside(_only(track, b"mdia"))
        if bytes(_only(media, b"hdlr")[8:12]) == b"vide":
            tables = _inside(_only(_inside(_only(media, b"minf")), b"stbl"))
            if _codec_name(tables) in _CODECS:
                return track, media, tables
            found.append((track, media, tables))
    if not found:
        raise UnreadableClip(_NO_VIDEO)
    return found[0]


def _codec_name(tables: Boxes) -> bytes:
    return bytes(_only(tables, b"stsd")[12:16])


def _lies_on_its_side(header: memoryview) -> bool:
    """Whether the matrix of a tkhd box turns the picture by a quarter."""
    across, turned, _, _ = _MATRIX.unpack_from(header, 52 if header[0] == 1 else 40)
    return bool(abs(turned) > abs(across))


def _check_pace(samples: _Samples, timescale: int) -> None:
    if samples.count == 0:
        raise UnreadableClip(_NO_VIDEO)
    if samples.count > MOST_SAMPLES:
        raise UnreadableClip(_TOO_COMPLEX)
    if samples.longest > LONGEST_FRAME_SECONDS * timescale:
        raise UnreadableClip(_FROZEN)
    # One frame more: the last one's duration is often left out
    if (samples.count - 1) * timescale > MOST_FRAMES_PER_SECOND * samples.ticks:
        raise UnreadableClip(_TOO_FAST)


def _shown_seconds(track: Boxes, movie: Boxes, samples: _Samples, timescale: int) -> float:
    """How much of the samples the edit list shows; an edit cannot show what is not there."""
    available = samples.ticks / timescale
    edits = _inside(_only(track, b"edts")) if b"edts" in track else {}
    edit_list = _at_most_one(edits, b"elst")
    if edit_list is None or _U32.unpack_from(edit_list, 4)[0] == 0:
        return available
    row = struct.Struct(">QqI" if edit_list[0] == 1 else ">IiI")
    movie_clock = _clock(_only(movie, b"mvhd"))
    shown = 0.0
    for number, (length, media_time, _) in enumerate(_table(edit_list, row)):
        if number >= MOST_EDITS:
            raise UnreadableClip(_TOO_COMPLEX)
        if media_time >= 0:  # -1 is an empty edit: it delays the first frame
            left = max(0.0, available + (samples.delay - media_time) / timescale)
            shown += min(length / movie_clock, left) if length else left
    if shown <= 0:
        raise UnreadableClip(_NO_VIDEO)
    return min(shown, available)


# --- the picture ------------------------------------------------------------------------------------------


def _picture(descriptions: memoryview) -> _Picture:
    """The smallest picture that the sample descriptions announce; none may be larger than we decode."""
    count = _U32.unpack_from(descriptions, 4)[0]
    if count > MOST_DESCRIPTIONS:
        raise UnreadableClip(_TOO_COMPLEX)
    pictures = [_described(kind, entry) for kind, entry in islice(_each(descriptions[8:]), count)]
    if not pictures:
        raise UnreadableClip(_DAMAGED)
    return min(pictures, key=lambda picture: picture.width * picture.height)


def _described(kind: bytes, entry: memoryview) -> _Picture:
    codec = _CODECS.get(kind)
    if codec is None:
        raise UnreadableClip(_unsupported(kind))
    boxes = _inside(entry[_VISUAL_SAMPLE_ENTRY_BYTES:])
    configuration = bytes(_only(boxes, b"avcC" if codec == "h264" else b"hvcC"))
    if len(configuration) > MOST_CONFIGURATION_BYTES:
        raise UnreadableClip(_TOO_COMPLEX)
    width, height = _smallest_size(codec, configuration)
    return _Picture(codec=codec, width=width, height=height, configuration=configuration)


def _unsupported(kind: bytes) -> str:
    if kind in _STILL_PICTURES:
        return _ONLY_A_PICTURE
    if kind == b"encv":
        return _ENCRYPTED
    name = "".join(letter if letter.isalnum() else "?" for letter in kind.decode("ascii", "replace"))
    return f"El video usa el códec «{name}»; se aceptan H.264 y HEVC (H.265)."


def _smallest_size(codec: Codec, configuration: bytes) -> tuple[int, int]:
    try:
        if codec == "h264":
            sizes = [sps.h264_size(unit) for unit in _avc_parameter_sets(configuration)]
        else:
            sizes = [sps.hevc_size(unit) for unit in _hevc_parameter_sets(configuration)]
    except ValueError as error:
        raise UnreadableClip(_DAMAGED) from error
    if not sizes:
        raise UnreadableClip(_DAMAGED)
    for width, height in sizes:
        _check_size(width, height)
    return min(sizes, key=lambda size: size[0] * size[1])


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise UnreadableClip(f"El video mide {width}x{height} píxeles; el máximo es 4096x2304.")


def _avc_parameter_sets(configuration: bytes) -> Iterator[bytes]:
    position = 6
    for _ in range(configuration[5] & 31):
        unit, position = _unit(configuration, position)
        yield unit


def _hevc_parameter_sets(configuration: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(configuration[22]):
        kind, count = configuration[position] & 63, _U16.unpack_from(configuration, position + 1)[0]
        position += 3
        for _ in range(count):
            unit, position = _unit(configuration, position)
            if kind == _HEVC_SPS:
                yield unit


def _unit(configuration: bytes, position: int) -> tuple[bytes, int]:
    """The NAL unit behind the length at `position`, and where it ends."""
    start = position + 2
    end = start + _U16.unpack_from(configuration, position)[0]
    if end > len(configuration):
        raise UnreadableClip(_DAMAGED)
    return configuration[start:end], end


# --- the samples ------------------------------------------------------------------------------------------


def _samples(tables: Boxes, size_bytes: int) -> _Samples:
    """What the tables of a track count; refuses samples that lie past the end of the file."""
    durations = list(_table(_only(tables, b"stts"), struct.Struct(">II")))
    sizes = _sample_sizes(_only(tables, b"stsz"))
    if sum(count for count, _ in durations) != len(sizes):
        raise UnreadableClip(_DAMAGED)
    _check_chunks(tables, sizes, size_bytes)
    offsets = _at_most_one(tables, b"ctts")
    # Encoders write both signs whatever the version says
    shifts = [shift for _, shift in _table(offsets, struct.Struct(">Ii"))] if offsets else [0]
    return _Samples(
        count=len(sizes),
        ticks=sum(count * delta for count, delta in durations),
        longest=max([*map(abs, shifts), *(delta for _, delta in durations)], default=0),
        delay=next(iter(shifts), 0),
    )


def _sample_sizes(box: memoryview) -> Sequence[int]:
    size, count = struct.unpack_from(">II", box, 4)
    if count > MOST_SAMPLES:
        raise UnreadableClip(_TOO_COMPLEX)
    return [size] * count if size else [each for (each,) in _table(box, _U32, at=8)]


def _check_chunks(tables: Boxes, sizes: Sequence[int], size_bytes: int) -> None:
    """Every chunk of samples lies inside the file, and no sample is without a chunk."""
    if b"co64" in tables:
        offsets = [offset for (offset,) in _table(_only(tables, b"co64"), _U64)]
    else:
        offsets = [offset for (offset,) in _table(_only(tables, b"stco"), _U32)]
    ends = [0, *accumulate(sizes)]
    sample = 0
    for offset, count in zip(offsets, _samples_per_chunk(tables, len(offsets)), strict=False):
        following = min(sample + count, len(sizes))
        if offset + ends[following] - ends[sample] > size_bytes:
            raise UnreadableClip(_TRUNCATED)
        sample = following
    if sample < len(sizes):
        raise UnreadableClip(_DAMAGED)


def _samples_per_chunk(tables: Boxes, chunks: int) -> Iterator[int]:
    runs = [(first, count) for first, count, _ in _table(_only(tables, b"stsc"), struct.Struct(">III"))]
    for (first, count), (following, _) in pairwise([*runs, (chunks + 1, 0)]):
        if not 1 <= first <= following or count == 0:
            raise UnreadableClip(_DAMAGED)
        for _ in range(min(following, chunks + 1) - first):
            yield count


# --- fragments --------------------------------------------------------------------------------------------


def _fragment_samples(movie: Boxes, layout: _Layout, track_id: int, size_bytes: int) -> _Samples:
    total = _Samples()
    if not layout.fragments:
        return total
    defaults = _track_defaults(movie, track_id)
    decoded_until: int | None = None
    for start, boxes in _track_fragments(layout.fragments):
        header = _only(boxes, b"tfhd")
        if _U32.unpack_from(header, 4)[0] != track_id:
            continue
        begin = _decode_time(boxes)
        fragment = _run_samples(boxes, header, defaults, start, size_bytes)
        total += fragment
        if begin is not None and decoded_until is not None:
            total += _Samples(longest=max(0, begin - decoded_until))
        if total.count > MOST_SAMPLES:
            raise UnreadableClip(_TOO_COMPLEX)
        decoded_until = (decoded_until or 0 if begin is None else begin) + fragment.ticks
    return total


def _track_fragments(fragments: Sequence[tuple[int, memoryview]]) -> Iterator[tuple[int, Boxes]]:
    """The boxes in each traf, and where its fragment begins."""
    found = 0
    for start, payload in fragments:
        fragment = _inside(payload)
        found += _number(fragment)
        for traf in fragment[b"traf"]:
            boxes = _inside(traf)
            found += _number(boxes)
            if found > MOST_FRAGMENT_BOXES:
                raise UnreadableClip(_TOO_COMPLEX)
            yield start, boxes


def _number(boxes: Boxes) -> int:
    return sum(map(len, boxes.values()))


def _track_defaults(movie: Boxes, track_id: int) -> tuple[int, int]:
    """Duration and size of a sample where a fragment states none."""
    extends = _inside(_only(movie, b"mvex"))
    for trex in extends[b"trex"]:
        track, _, duration, size = struct.unpack_from(">IIII", trex, 4)
        if track == track_id:
            return duration, size
    raise UnreadableClip(_DAMAGED)


def _decode_time(boxes: Boxes) -> int | None:
    box = _at_most_one(boxes, b"tfdt")
    if box is None:
        return None
    time: int = (_U64 if box[0] == 1 else _U32).unpack_from(box, 4)[0]
    return time


def _run_samples(
    boxes: Boxes, header: memoryview, defaults: tuple[int, int], fragment_start: int, size_bytes: int
) -> _Samples:
    """The samples of one traf."""
    flags = _U32.unpack_from(header)[0]
    duration, size = defaults
    base, position = fragment_start, 8
    if flags & 0x1:
        base, position = _U64.unpack_from(header, position)[0], position + 8
    if flags & 0x2:
        position += 4
    if flags & 0x8:
        duration, position = _U32.unpack_from(header, position)[0], position + 4
    if flags & 0x10:
        size = _U32.unpack_from(header, position)[0]
    total = _Samples()
    for trun in boxes[b"trun"]:
        total += _run(trun, duration, size, base, size_bytes)
        if total.count > MOST_SAMPLES:
            raise UnreadableClip(_TOO_COMPLEX)
    return total


def _run(trun: memoryview, duration: int, size: int, base: int, size_bytes: int) -> _Samples:
    """The samples of one trun box; each row has the fields that its flags name."""
    flags, count = struct.unpack_from(">II", trun)
    if count > MOST_SAMPLES:
        raise UnreadableClip(_TOO_COMPLEX)
    if count == 0:
        return _Samples()
    position = 8
    if flags & 0x1:
        base, position = base + _I32.unpack_from(trun, position)[0], position + 4
    if flags & 0x4:
        position += 4
    fields = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    row = struct.Struct(f">{len(fields)}I")
    if len(trun) - position < row.size * count:
        raise UnreadableClip(_DAMAGED)
    rows = list(row.iter_unpack(trun[position : position + row.size * count])) if fields else []
    columns = dict(zip(fields, zip(*rows, strict=True), strict=False))
    durations = columns.get(0x100, (duration,) * count)
    shifts = [_signed(shift) for shift in columns.get(0x800, (0,))]
    if base + sum(columns.get(0x200, (size,) * count)) > size_bytes:
        raise UnreadableClip(_TRUNCATED)
    return _Samples(
        count=count,
        ticks=sum(durations),
        longest=max([*map(abs, shifts), *durations]),
        delay=shifts[0],
    )


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value
