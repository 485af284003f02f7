"""The video track: which one it is, how it is turned, and how much its edit list shows."""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from anb.mp4.boxes import U32, Boxes, boxes_in, only_box, optional_box, read_timescale, table_rows
from anb.mp4.errors import DAMAGED, NO_VIDEO, TOO_COMPLEX, UnreadableClip
from anb.mp4.pictures import CODECS, Presentation
from anb.mp4.samples import Samples

MAX_TRACKS: Final = 16
MAX_VIDEO_TRACKS: Final = 8  # a camera has its own and a proxy, or one for each lens
MAX_EDITS: Final = 100
MAX_TRACK_ID: Final = 2**31 - 1  # ffmpeg takes a larger one for negative

_MATRIX: Final = struct.Struct(">iixxxxii")
_EVEN: Final = 0.01  # players take a smaller stretch for none


class Track(NamedTuple):
    """The boxes in trak, mdia and stbl, the tkhd box and the number of a track."""

    boxes: Boxes
    media: Boxes
    tables: Boxes
    header: memoryview
    track_id: int


def video_tracks(movie: Boxes) -> Sequence[Track]:
    """The tracks that we decode, at least one; without any, the first other video."""
    decodable: list[Track] = []
    others: list[Track] = []
    for trak in movie[b"trak"]:
        boxes = boxes_in(trak)
        media = boxes_in(only_box(boxes, b"mdia"))
        if bytes(only_box(media, b"hdlr")[8:12]) == b"vide":
            tables = boxes_in(only_box(boxes_in(only_box(media, b"minf")), b"stbl"))
            header = only_box(boxes, b"tkhd")
            track = Track(boxes, media, tables, header, _track_id(header))
            (decodable if _codec_name(tables) in CODECS else others).append(track)
    if len(decodable) > MAX_VIDEO_TRACKS:
        raise UnreadableClip(TOO_COMPLEX)
    if not decodable and not others:
        raise UnreadableClip(NO_VIDEO)
    return decodable or others[:1]


def check_track_id(track_id: int, movie: Boxes) -> None:
    """Refuse a track that a decoder does not find by its number, or takes another for."""
    headers = (header for trak in movie[b"trak"] for header in boxes_in(trak)[b"tkhd"])
    if track_id > MAX_TRACK_ID or [*map(_track_id, headers)].count(track_id) > 1:
        raise UnreadableClip(DAMAGED)


def _track_id(header: memoryview) -> int:
    track_id: int = U32.unpack_from(header, 20 if header[0] == 1 else 12)[0]
    return track_id


def _codec_name(tables: Boxes) -> bytes:
    return bytes(only_box(tables, b"stsd")[12:16])


def presentation(header: memoryview, movie_header: memoryview) -> Presentation:
    """What the tkhd box and the mvhd box say: a size in whole pixels, and by how much their matrices stretch it."""
    width, height = struct.unpack_from(">II", header, 88 if header[0] == 1 else 76)
    a, b, c, d = _matrix(header, movie_header)
    across, down = math.hypot(a, c), math.hypot(b, d)
    is_stretched = across > 0 and down > 0 and abs(across / down - 1) > _EVEN
    return Presentation(
        size=(width >> 16, height >> 16), pixel_shape=Fraction(across / down) if is_stretched else None
    )


def lies_on_its_side(header: memoryview, movie_header: memoryview) -> bool:
    """Whether the matrices of the tkhd box and the mvhd box turn the picture by a quarter."""
    a, b, _, _ = _matrix(header, movie_header)
    return abs(b) > abs(a)


def _matrix(header: memoryview, movie_header: memoryview) -> tuple[int, int, int, int]:
    """The track's matrix times the movie's, without what only moves the picture."""
    a, b, c, d = _MATRIX.unpack_from(header, 52 if header[0] == 1 else 40)
    e, f, g, h = _MATRIX.unpack_from(movie_header, 48 if movie_header[0] == 1 else 36)
    if not any((e, f, g, h)):  # nobody has filled it in
        return a, b, c, d
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


class Edit(NamedTuple):
    """A stretch of a track's own time that is shown; `end_seconds` is infinite where it lasts to the end."""

    start_seconds: float
    end_seconds: float


def read_edits(track: Boxes, movie: Boxes, timescale: int) -> Sequence[Edit]:
    """What the edit list shows, one after the other; empty without a list, which shows everything."""
    edits = boxes_in(only_box(track, b"edts")) if b"edts" in track else {}
    edit_list = optional_box(edits, b"elst")
    if edit_list is None or U32.unpack_from(edit_list, 4)[0] == 0:
        return ()
    row = struct.Struct(">QqI" if edit_list[0] == 1 else ">IiI")
    movie_clock = read_timescale(only_box(movie, b"mvhd"))
    shown = []
    for number, (length, media_time, _) in enumerate(table_rows(edit_list, row)):
        if number >= MAX_EDITS:
            raise UnreadableClip(TOO_COMPLEX)
        if media_time >= 0:  # -1 is an empty edit: it delays the first frame
            start = media_time / timescale
            shown.append(Edit(start, start + length / movie_clock if length else math.inf))
    if not shown:
        raise UnreadableClip(NO_VIDEO)
    return shown


def effective_edits(edits: Sequence[Edit], samples: Samples, timescale: int) -> Sequence[Edit]:
    """Those of the edits that show some of the samples."""
    begin, end = samples.shown_from / timescale, samples.shown_until / timescale
    if len(edits) == 1 and edits[0].start_seconds < begin:
        # Who wrote it forgot that pictures are shown later than they are decoded: it is to show all of them
        edits = [Edit(begin, edits[0].end_seconds + begin - edits[0].start_seconds)]
    effective = [edit for edit in edits if max(edit.start_seconds, begin) < min(edit.end_seconds, end)]
    if edits and not effective:
        raise UnreadableClip(NO_VIDEO)
    return effective


def shown_seconds(edits: Sequence[Edit], samples: Samples, timescale: int) -> float:
    """How long what the effective edits show lasts: nothing counts twice."""
    available = samples.ticks / timescale
    if not edits:
        return available
    begin, end = samples.shown_from / timescale, samples.shown_until / timescale
    shown = sum(min(edit.end_seconds, end) - max(edit.start_seconds, begin) for edit in edits)
    return min(shown, available)
