"""What an MP4 file really contains, read from its index without decoding a frame.

A file that somebody sent meets this reader before any C code does. It reads box headers, the index and the
fragment indexes, and skips the rest; every count is checked against the box that holds it before it is used.
What it refuses is a file that no decoder should be given; whether a clip suits the showcase (20 to 60
seconds, 1080p) is not decided here.

mending             what to correct in a file before a decoder reads it
clip                the clip as a whole: what callers get
├── layout          the boxes of the file
├── tracks          which track is the video, how it is turned, what its edit list shows
├── samples         the frames that the tables of a track count
├── fragments       the frames that follow outside the index
└── pictures        codec, size and colours of the picture
    ├── colours     how colours are coded, and what of that can be converted
    ├── h264        what an avcC box and its parameter sets say
    └── hevc        what an hvcC box and its parameter sets say

Box layouts: ISO/IEC 14496-12 (boxes, fragments) and 14496-15 (avcC, hvcC).
"""

from anb.mp4.clip import Clip, read_clip
from anb.mp4.colours import ColourDescription
from anb.mp4.errors import UnreadableClip
from anb.mp4.mending import corrections
from anb.mp4.pictures import MAX_PIXELS
from anb.mp4.tracks import MAX_TRACKS, Edit

__all__ = [
    "MAX_PIXELS",
    "MAX_TRACKS",
    "Clip",
    "ColourDescription",
    "Edit",
    "UnreadableClip",
    "corrections",
    "read_clip",
]
