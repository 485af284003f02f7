"""The boxes of the file: walked over once, and only the index and the fragment indexes read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from anb.mp4.boxes import read_header
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, TRUNCATED, UnreadableClip
from anb.ranged import TOO_MANY_PIECES

MAX_INDEX_BYTES: Final = 16 * 1024 * 1024  # moov; an hour of phone video needs 2 MiB
MAX_FRAGMENT_BYTES: Final = 4 * 1024 * 1024  # all moof together: 16 bytes a sample, and their headers
# A minute of 60 pictures and 47 pieces of sound a second, each a fragment of two boxes, has 12,840
MAX_FILE_BOXES: Final = 20_000

_BRANDS: Final = frozenset(
    {b"isom", b"avc1", b"mp41", b"mp42", b"mp71", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"XAVC", b"dash"}
    | {b"cmfc", b"cmf2", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"hvc1"}
)

_NOT_MP4 = "El archivo no es un video MP4."
_QUICKTIME = "El archivo es un video QuickTime (MOV); conviértelo a MP4."
_NO_INDEX = "El video está incompleto: le falta el índice."


class FileBox(NamedTuple):
    """Where a box of the file and what is in it begin, and how long that is."""

    kind: bytes
    start: int
    body: int
    body_bytes: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The parts of a file that are read whole; `fragments` pairs each moof with its position."""

    index: memoryview
    index_first: bool
    fragments: Sequence[tuple[int, memoryview]]


def read_layout(file: BinaryIO, size_bytes: int) -> Layout:
    """Walk over the boxes of the file once, forward, and read what matters in passing."""
    index: memoryview | None = None
    index_first = True
    fragments: list[tuple[int, memoryview]] = []
    fragment_bytes = 0
    for box in file_boxes(file, size_bytes):
        if box.kind == b"moov":
            if index is not None:
                raise UnreadableClip(DAMAGED)
            if box.body_bytes > MAX_INDEX_BYTES:
                raise UnreadableClip(TOO_COMPLEX)
            index = memoryview(_read(file, box.body, box.body_bytes))
        elif box.kind == b"moof":
            fragment_bytes += box.body_bytes
            if fragment_bytes > MAX_FRAGMENT_BYTES:
                raise UnreadableClip(TOO_COMPLEX)
            fragments.append((box.start, memoryview(_read(file, box.body, box.body_bytes))))
        elif box.kind == b"mdat":
            index_first = index_first and index is not None
    if index is None:
        raise UnreadableClip(_NO_INDEX)
    return Layout(index=index, index_first=index_first, fragments=fragments)


def file_boxes(file: BinaryIO, size_bytes: int) -> Iterator[FileBox]:
    """The boxes of the file, which begin with ftyp and end where the file does."""
    if size_bytes == 0:
        raise UnreadableClip("El archivo está vacío.")
    if size_bytes < 16:
        raise UnreadableClip(_NOT_MP4)
    position = 0
    for _ in range(MAX_FILE_BOXES):
        left = size_bytes - position
        if left < 8:  # too little for a box
            return
        kind, length, header_bytes = read_header(memoryview(_read(file, position, min(16, left))), left)
        if position == 0 and kind != b"ftyp":
            raise UnreadableClip(_NOT_MP4)
        if length > left:
            raise UnreadableClip(TRUNCATED)
        body, body_bytes = position + header_bytes, length - header_bytes
        if position == 0:
            _check_brand(_read(file, body, min(body_bytes, 1024)))
        yield FileBox(kind, position, body, body_bytes)
        position += length
    raise UnreadableClip(TOO_MANY_PIECES)


def _read(file: BinaryIO, position: int, count: int) -> bytes:
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
