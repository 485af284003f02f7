"""The video track: which one it is, how it is turned, and how much its edit list shows."""

import math
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from anb.mp4.boxes import U32, Boxes, boxes_in, only_box, optional_box, read_timescale, table_rows
from anb.mp4.errors import NO_VIDEO, TOO_COMPLEX, UnreadableClip
from anb.mp4.pictures import CODECS
from anb.mp4.samples import Samples

MAX_TRACKS: Final = 16
MAX_VIDEO_TRACKS: Final = 8  # a camera has its own and a proxy, or one for each lens
MAX_EDITS: Final = 100

_MATRIX: Final = struct.Struct(">iixxxxii")


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
            track_id = U32.unpack_from(header, 20 if header[0] == 1 else 12)[0]
            track = Track(boxes, media, tables, header, track_id)
            (decodable if _codec_name(tables) in CODECS else others).append(track)
    if len(decodable) > MAX_VIDEO_TRACKS:
        raise UnreadableClip(TOO_COMPLEX)
    if not decodable and not others:
        raise UnreadableClip(NO_VIDEO)
    return decodable or others[:1]


def _codec_name(tables: Boxes) -> bytes:
    return bytes(only_box(tables, b"stsd")[12:16])


def presentation_size(header: memoryview) -> tuple[int, int]:
    """Width and height in a tkhd box, whole pixels."""
    width, height = struct.unpack_from(">II", header, 88 if header[0] == 1 else 76)
    return width >> 16, height >> 16


def lies_on_its_side(header: memoryview) -> bool:
    """Whether the matrix of a tkhd box turns the picture by a quarter."""
    across, turned, _, _ = _MATRIX.unpack_from(header, 52 if header[0] == 1 else 40)
    return bool(abs(turned) > abs(across))


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


def shown_seconds(edits: Sequence[Edit], samples: Samples, timescale: int) -> float:
    """How much of the samples the edits show; an edit cannot show what is not there."""
    available = samples.ticks / timescale
    if not edits:
        return available
    end = available + samples.delay / timescale
    shown = sum(max(0.0, min(edit.end_seconds, end) - edit.start_seconds) for edit in edits)
    if shown <= 0:
        raise UnreadableClip(NO_VIDEO)
    return min(shown, available)
