"""Puts right the samples of files that keep their decoder's configuration there, where parameter sets belong.

A decoder takes the first bytes of a configuration for the length of a unit that no sample has, and gives up. ffmpeg's
filter dump_extra makes such samples of an MP4 file.
"""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from anb.mp4.boxes import boxes_in
from anb.mp4.clip import Clip
from anb.mp4.fragments import fragment_places
from anb.mp4.layout import read_at, read_layout
from anb.mp4.parameter_sets import mended
from anb.mp4.pictures import MAX_CONFIGURATION_BYTES, READERS
from anb.mp4.samples import table_places
from anb.mp4.tracks import video_tracks


def corrections(file: BinaryIO, clip: Clip, *, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Where to write what over the bytes of a file that `read_clip` has accepted, so that decoders understand it.

    Nothing for a file whose description holds its parameter sets.
    """
    reader = READERS[clip.codec]
    if not clip.configuration or reader.parameter_sets(clip.configuration):
        return
    layout = read_layout(file, size_bytes)
    movie = boxes_in(layout.index)
    track = next(track for track in video_tracks(movie) if track.track_id == clip.track_id)
    for place in chain(table_places(track.tables), fragment_places(movie, layout, track.track_id)):
        sample = read_at(file, place.position, min(place.size_bytes, MAX_CONFIGURATION_BYTES))
        if reader.begins_with_configuration(sample, clip.configuration):
            units, end = reader.units(sample)
            data = mended(units, end, reader.length_bytes(clip.configuration))
            if data is not None:
                yield place.position, data
