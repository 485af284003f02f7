"""The picture that a track's sample descriptions announce: its codec, its size and its colours."""

import struct
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from anb.mp4 import h264, hevc
from anb.mp4.boxes import U32, Boxes, boxes_in, each_box, only_box
from anb.mp4.colours import NOTHING_SAID, ColourDescription, check_convertible, colour_description, completed
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, UnreadableClip
from anb.mp4.parameter_sets import CodedPicture

MAX_DESCRIPTIONS: Final = 8  # of one track's samples
MAX_CONFIGURATION_BYTES: Final = 16 * 1024
MAX_PIXELS: Final = 4096 * 2304  # a little over 4K; a larger picture costs memory before it is refused
MAX_SIDE_PIXELS: Final = 4096

Codec = Literal["h264", "hevc"]

CODECS: Final[dict[bytes, Codec]] = {
    **dict.fromkeys((b"avc1", b"avc3"), "h264"),
    **dict.fromkeys((b"hvc1", b"hev1", b"dvh1", b"dvhe"), "hevc"),
}
_STILL_PICTURES: Final = frozenset({b"jpeg", b"mjpg", b"mjp2", b"png ", b"gif "})
_VISUAL_SAMPLE_ENTRY_BYTES: Final = 78  # its fields before the boxes inside

_CODE_POINTS: Final = struct.Struct(">HHH")

_ONLY_A_PICTURE = "El archivo contiene una imagen fija, no un video."
_ENCRYPTED = "El video está cifrado; se aceptan videos H.264 o HEVC sin protección."


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`width` and `height` are pixels as coded, cropping applied."""

    codec: Codec
    width: int
    height: int
    colours: ColourDescription
    configuration: bytes


def smallest_picture(descriptions: memoryview) -> Picture:
    """The smallest picture that the sample descriptions announce; none may be larger than we decode."""
    count = U32.unpack_from(descriptions, 4)[0]
    if count > MAX_DESCRIPTIONS:
        raise UnreadableClip(TOO_COMPLEX)
    pictures = [_read_description(kind, entry) for kind, entry in islice(each_box(descriptions[8:]), count)]
    if not pictures:
        raise UnreadableClip(DAMAGED)
    return min(pictures, key=lambda picture: picture.width * picture.height)


def _read_description(kind: bytes, entry: memoryview) -> Picture:
    codec = CODECS.get(kind)
    if codec is None:
        raise UnreadableClip(_unsupported(kind))
    boxes = boxes_in(entry[_VISUAL_SAMPLE_ENTRY_BYTES:])
    configuration = bytes(only_box(boxes, b"avcC" if codec == "h264" else b"hvcC"))
    if len(configuration) > MAX_CONFIGURATION_BYTES:
        raise UnreadableClip(TOO_COMPLEX)
    coded = _smallest_coded(codec, configuration)
    colours = completed(coded.colours, _container_colours(boxes))
    check_convertible(colours)
    return Picture(codec=codec, width=coded.width, height=coded.height, colours=colours, configuration=configuration)


def _container_colours(boxes: Boxes) -> ColourDescription:
    """What the first colr box of code points says; others hold an ICC profile."""
    for box in boxes[b"colr"]:
        kind = bytes(box[:4])
        if kind in (b"nclx", b"nclc"):
            primaries, transfer, matrix = _CODE_POINTS.unpack_from(box, 4)
            full_range = bool(box[10] & 0x80) if kind == b"nclx" else None
            return colour_description(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)
    return NOTHING_SAID


def _unsupported(kind: bytes) -> str:
    if kind in _STILL_PICTURES:
        return _ONLY_A_PICTURE
    if kind == b"encv":
        return _ENCRYPTED
    name = "".join(letter if letter.isalnum() else "?" for letter in kind.decode("ascii", "replace"))
    return f"El video usa el códec «{name}»; se aceptan H.264 y HEVC (H.265)."


def _smallest_coded(codec: Codec, configuration: bytes) -> CodedPicture:
    try:
        if codec == "h264":
            pictures = [h264.coded_picture(unit) for unit in h264.parameter_sets(configuration)]
        else:
            pictures = [hevc.coded_picture(unit) for unit in hevc.parameter_sets(configuration)]
    except ValueError as error:
        raise UnreadableClip(DAMAGED) from error
    if not pictures:
        raise UnreadableClip(DAMAGED)
    for each in pictures:
        _check_size(each.width, each.height)
    return min(pictures, key=lambda each: each.width * each.height)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PIXELS:
        raise UnreadableClip(f"El video mide {width}x{height} píxeles; el máximo es 4096x2304.")
