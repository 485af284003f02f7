"""The boxes of the file: walked over once, and only the index and the fragment indexes read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from anb.mp4.boxes import read_header
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, TRUNCATED, UnreadableClip
from anb.ranged import TOO_MANY_PIECES

MAX_INDEX_BYTES: Final = 16 * 1024 * 1024  # moov; an hour of phone video needs 2 MiB
MAX_FRAGMENT_BYTES: Final = 4 * 1024 * 1024  # all moof together: 16 bytes a sample, and their headers
# A minute of 120 pictures and 47 pieces of sound a second, each a segment of five boxes, has 50,100
MAX_FRAGMENT_BOXES: Final = 60_000
MAX_FRAGMENTS: Final = 20_000
MAX_OTHER_BOXES: Final = 20_000

_BRANDS: Final = frozenset(
    {b"isom", b"avc1", b"mp41", b"mp42", b"mp71", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"XAVC", b"dash"}
    | {b"cmfc", b"cmf2", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"hvc1"}
)

_BLANK: Final = bytes(4)  # as a type: padding
_BEFORE_THE_BRAND: Final = frozenset({b"free", b"skip", b"wide", b"styp"})
_OF_FRAGMENTS: Final = frozenset({b"moof", b"mdat", b"styp", b"sidx", b"prft", b"emsg"})
_STANDARD: Final = _BEFORE_THE_BRAND | _OF_FRAGMENTS | {b"ftyp", b"moov", b"uuid", b"udta", b"meta", b"mfra", b"ssix"}

_LONGEST_HEADER_BYTES: Final = 16
_LONG: Final = (1).to_bytes(4)  # as a length: the true one follows, in eight bytes
_LEAST_CUT_BYTES: Final = 8

_NOT_MP4 = "El archivo no es un video MP4."
_QUICKTIME = "El archivo es un video QuickTime (MOV); conviértelo a MP4."
_NO_INDEX = "El video está incompleto: le falta el índice."


class FileBox(NamedTuple):
    """Where a box of the file and what is in it begin, how long that is, and its first bytes."""

    kind: bytes
    start: int
    body: int
    body_bytes: int
    begins: bytes

    @property
    def end(self) -> int:
        return self.body + self.body_bytes


@dataclass(kw_only=True)
class Layout:
    """The parts of a file that are read whole; `fragments` pairs each moof with its position.

    The boxes end at `end`: what follows is none of the video. `starts_blank` says that its media begins with zeros.
    """

    index: memoryview = field(default_factory=lambda: memoryview(b""))
    index_first: bool = True
    fragments: list[tuple[int, memoryview]] = field(default_factory=list)
    end: int = 0
    starts_blank: bool = False


def read_layout(file: BinaryIO, size_bytes: int) -> Layout:
    """Walk over the boxes of the file once, forward, and read what matters in passing."""
    layout = Layout()
    seen = set[bytes]()
    fragment_bytes = 0
    last = _BLANK
    for box in file_boxes(file, size_bytes):
        if box.kind == b"moov":
            layout.index = _read_index(file, box, is_second=b"moov" in seen)
        elif box.kind == b"moof":
            fragment_bytes += box.body_bytes
            if fragment_bytes > MAX_FRAGMENT_BYTES or len(layout.fragments) >= MAX_FRAGMENTS:
                raise UnreadableClip(TOO_COMPLEX)
            layout.fragments.append((box.start, memoryview(read_at(file, box.body, box.body_bytes))))
        elif box.kind == b"mdat" and b"mdat" not in seen:
            layout.index_first = b"moov" in seen
            layout.starts_blank = bool(box.begins) and not any(box.begins)
        elif box.kind == _BLANK:
            _check_before_filling(last, layout.index)
        seen.add(box.kind)
        last, layout.end = box.kind, box.end
    if b"moov" not in seen:
        raise UnreadableClip(_NO_INDEX)
    if layout.end < size_bytes:
        _check_before_filling(last, layout.index)
    return layout


def _read_index(file: BinaryIO, box: FileBox, *, is_second: bool) -> memoryview:
    if is_second:
        raise UnreadableClip(DAMAGED)
    if box.body_bytes > MAX_INDEX_BYTES:
        raise UnreadableClip(TOO_COMPLEX)
    return memoryview(read_at(file, box.body, box.body_bytes))


def _check_before_filling(last: bytes, index: memoryview) -> None:
    """Refuse a file that was cut inside of its last index, and then filled up."""
    if last == b"moof" or (last == b"moov" and not any(index[-_LEAST_CUT_BYTES:])):
        raise UnreadableClip(TRUNCATED)


def file_boxes(file: BinaryIO, size_bytes: int) -> Iterator[FileBox]:
    """The boxes of the file up to its end, or to where something else begins behind index and media."""
    if size_bytes == 0:
        raise UnreadableClip("El archivo está vacío.")
    if size_bytes < 16:
        raise UnreadableClip(_NOT_MP4)
    position = 0
    seen: set[bytes] = set()
    counts = Counter[bool]()
    while size_bytes - position >= 8:  # less is too little for a box
        box = _box_at(file, position, size_bytes)
        if b"ftyp" not in seen and (box is None or box.kind not in _BEFORE_THE_BRAND | {b"ftyp"}):
            raise UnreadableClip(_NOT_MP4)
        if box is None or box.end > size_bytes:
            if _is_complete(seen) and (box is None or box.kind not in _STANDARD):
                return
            raise UnreadableClip(TRUNCATED if box else DAMAGED)
        if box.kind == b"ftyp" and b"ftyp" not in seen:
            _check_brand(read_at(file, box.body, min(box.body_bytes, 1024)))
        yield box
        position = box.end
        seen.add(box.kind)
        of_fragments = box.kind in _OF_FRAGMENTS
        counts[of_fragments] += 1
        if counts[of_fragments] > (MAX_FRAGMENT_BOXES if of_fragments else MAX_OTHER_BOXES):
            raise UnreadableClip(TOO_MANY_PIECES)


def _is_complete(seen: set[bytes]) -> bool:
    return b"moov" in seen and (b"mdat" in seen or b"moof" in seen)


def _box_at(file: BinaryIO, position: int, size_bytes: int) -> FileBox | None:
    """The box whose header stands there; None for a length that no box can have."""
    left = size_bytes - position
    head = read_at(file, position, min(_LONGEST_HEADER_BYTES, left))
    if head[:4] == _LONG and len(head) < _LONGEST_HEADER_BYTES:
        return None
    kind, length, header_bytes = read_header(memoryview(head), left)
    if length < header_bytes:
        return None
    return FileBox(kind, position, position + header_bytes, length - header_bytes, head[header_bytes:])


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """So many bytes from there; UnreadableClip when the file ends before, or begins after that."""
    if position < 0:  # fragments count from where they please, and backwards too
        raise UnreadableClip(DAMAGED)
    file.seek(position)
    data = file.read(count)
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            raise UnreadableClip(TRUNCATED)
        data += more
    return data


def _check_brand(brands: bytes) -> None:
    """Refuse a file whose ftyp box names no MP4 brand: the major one first, then its version, then more."""
    names = {brands[:4], *(brands[at : at + 4] for at in range(8, len(brands), 4))}
    if not names & _BRANDS:
        raise UnreadableClip(_QUICKTIME if b"qt  " in names else _NOT_MP4)
