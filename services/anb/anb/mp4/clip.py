"""A clip, as the index of its file has it."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from anb.mp4.boxes import U32, boxes_in, only_box, read_timescale
from anb.mp4.colours import NOTHING_SAID, ColourDescription
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, UnreadableClip
from anb.mp4.fragments import fragment_samples
from anb.mp4.layout import Layout, read_layout
from anb.mp4.pictures import Codec, smallest_picture
from anb.mp4.samples import check_pace, table_samples
from anb.mp4.tracks import MAX_TRACKS, lies_on_its_side, shown_seconds, video_track


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The video track of a file, as its index has it.

    `width` and `height` are pixels as shown: cropped and turned. `duration_seconds` is what the edit list
    shows of the samples that exist. `configuration` is the decoder's set-up (the avcC or hvcC box). `colours`
    are as the stream says, or the file where the stream says nothing; the worker can convert them.
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
    colours: ColourDescription = NOTHING_SAID


def read_clip(file: BinaryIO, *, size_bytes: int) -> Clip:
    """Describe the first video track of an MP4 file of `size_bytes`; any seekable file will do.

    Reads the index, at most MAX_INDEX_BYTES, and skips the media. Raises UnreadableClip, with a sentence
    for the sender, for whatever is not a whole and harmless H.264 or HEVC video; OSError if reading fails.
    """
    try:
        return _clip(read_layout(file, size_bytes), size_bytes)
    except (struct.error, IndexError) as error:  # a field that should lie where its box has ended
        raise UnreadableClip(DAMAGED) from error


def _clip(layout: Layout, size_bytes: int) -> Clip:
    movie = boxes_in(layout.index)
    if b"cmov" in movie:  # a compressed index of 1.5 MB can unfold to 1.5 GB
        raise UnreadableClip(TOO_COMPLEX)
    if len(movie[b"trak"]) > MAX_TRACKS:
        raise UnreadableClip(TOO_COMPLEX)
    track, media, tables = video_track(movie)
    header = only_box(track, b"tkhd")
    track_id = U32.unpack_from(header, 20 if header[0] == 1 else 12)[0]
    picture = smallest_picture(only_box(tables, b"stsd"))
    samples = table_samples(tables, size_bytes) + fragment_samples(movie, layout, track_id, size_bytes)
    timescale = read_timescale(only_box(media, b"mdhd"))
    check_pace(samples, timescale)
    width, height = picture.width, picture.height
    return Clip(
        width=height if lies_on_its_side(header) else width,
        height=width if lies_on_its_side(header) else height,
        duration_seconds=shown_seconds(track, movie, samples, timescale),
        codec=picture.codec,
        frames=samples.count,
        track_id=track_id,
        tracks=len(movie[b"trak"]),
        index_first=layout.index_first,
        configuration=picture.configuration,
        colours=picture.colours,
    )
