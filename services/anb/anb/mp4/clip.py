"""A clip, as the index of its file has it."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import BinaryIO, Final

from anb.mp4.boxes import Boxes, boxes_in, only_box, read_timescale
from anb.mp4.colours import NOTHING_SAID, ColourDescription
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, TRUNCATED, UnreadableClip
from anb.mp4.fragments import fragment_places, fragment_samples
from anb.mp4.layout import Layout, read_at, read_layout
from anb.mp4.pictures import Codec, Picture, pixels, smallest_picture
from anb.mp4.samples import Place, check_pace, table_places, table_samples
from anb.mp4.tracks import (
    MAX_TRACKS,
    Edit,
    Track,
    check_track_id,
    effective_edits,
    lies_on_its_side,
    presentation,
    read_edits,
    shown_seconds,
    video_tracks,
)

_TAIL_BYTES: Final = 16  # of the last sample: a stream has no two zeros more in a row, but cameras align with some
_FIRST_SAMPLES: Final = 4  # parameter sets stand in the first one, or behind a few that a cut has left
_BEGINNING_BYTES: Final = 4096  # of a sample: parameter sets stand before the picture
_FILLINGS: Final = ({0x00}, {0xFF})  # of disks and of flash memories


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The video track of a file, as its index has it.

    `width` and `height` are pixels as shown: cropped, stretched and turned. `duration_seconds` is what the edit list
    shows of the samples that exist. `configuration` is the decoder's set-up (the avcC or hvcC box). `colours`
    are as the stream says, or the file where the stream says nothing; the worker can convert them.
    `last_seconds` are how long the last sample says that it stays. `edits` are what the edit list shows of the
    samples, none where there is no list.
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
    last_seconds: float = 0
    colours: ColourDescription = NOTHING_SAID
    edits: Sequence[Edit] = ()


def read_clip(file: BinaryIO, *, size_bytes: int) -> Clip:
    """Describe the video track with the largest picture of an MP4 file of `size_bytes`; any seekable file will do.

    Reads the index, at most MAX_INDEX_BYTES, and next to nothing of the media. Raises UnreadableClip, with a sentence
    for the sender, for whatever is not a whole and harmless H.264 or HEVC video; OSError if reading fails.
    """
    try:
        return _clip(file, read_layout(file, size_bytes))
    except (struct.error, IndexError) as error:  # a field that should lie where its box has ended
        raise UnreadableClip(DAMAGED) from error


def _clip(file: BinaryIO, layout: Layout) -> Clip:
    movie = boxes_in(layout.index)
    if b"cmov" in movie:  # a compressed index of 1.5 MB can unfold to 1.5 GB
        raise UnreadableClip(TOO_COMPLEX)
    if len(movie[b"trak"]) > MAX_TRACKS:
        raise UnreadableClip(TOO_COMPLEX)
    track, picture = _largest(file, movie, layout)
    check_track_id(track.track_id, movie)
    samples = fragment_samples(movie, layout, track.track_id, before=table_samples(track.tables, layout.end))
    timescale = read_timescale(only_box(track.media, b"mdhd"))
    check_pace(samples, timescale)
    _check_is_not_filled_up(file, layout, samples.final_place)
    edits = effective_edits(read_edits(track.boxes, movie, timescale), samples, timescale)
    is_turned = lies_on_its_side(track.header, only_box(movie, b"mvhd"))
    return Clip(
        width=picture.height if is_turned else picture.width,
        height=picture.width if is_turned else picture.height,
        duration_seconds=shown_seconds(edits, samples, timescale),
        codec=picture.codec,
        frames=samples.count,
        track_id=track.track_id,
        tracks=len(movie[b"trak"]),
        index_first=layout.index_first,
        configuration=picture.configuration,
        last_seconds=samples.last / timescale,
        colours=picture.colours,
        edits=edits,
    )


def _largest(file: BinaryIO, movie: Boxes, layout: Layout) -> tuple[Track, Picture]:
    """The track with the largest picture, which others may accompany as previews; the first of several."""
    found: list[tuple[Track, Picture]] = []
    refusals: list[UnreadableClip] = []
    for track in video_tracks(movie):
        try:
            picture = smallest_picture(
                only_box(track.tables, b"stsd"),
                presentation=presentation(track.header, only_box(movie, b"mvhd")),
                first_samples=partial(_first_samples, file, movie, layout, track),
            )
            found.append((track, picture))
        except UnreadableClip as refusal:
            refusals.append(refusal)
    if not found:
        raise refusals[0]
    track, picture = max(found, key=lambda each: pixels(each[1]))
    if picture.refusal:
        raise UnreadableClip(picture.refusal)
    return track, picture


def _first_samples(file: BinaryIO, movie: Boxes, layout: Layout, track: Track) -> Iterator[bytes]:
    """How the first samples of a track begin; those that would end after the file's boxes are left out."""
    places = chain(table_places(track.tables), fragment_places(movie, layout, track.track_id))
    for place in islice(places, _FIRST_SAMPLES):
        if place.size_bytes and place.end <= layout.end:
            yield read_at(file, place.position, min(place.size_bytes, _BEGINNING_BYTES))


def _check_is_not_filled_up(file: BinaryIO, layout: Layout, final: Place) -> None:
    """Refuse a file that was cut in its media and then filled up, as downloads and cards leave it.

    Where the index comes last it would be gone; a file whose media is blank from the start is none that was cut.
    """
    if layout.starts_blank or not final.size_bytes or not (layout.index_first or layout.fragments):
        return
    count = min(final.size_bytes, _TAIL_BYTES)
    if set(read_at(file, final.end - count, count)) in _FILLINGS:
        raise UnreadableClip(TRUNCATED)
