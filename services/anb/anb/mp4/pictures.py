"""The picture that a track's sample descriptions announce: its codec, its size as shown and its colours."""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Final, Literal, NamedTuple

from anb.mp4 import h264, hevc
from anb.mp4.boxes import U32, Boxes, boxes_in, each_box, only_box
from anb.mp4.colours import NOTHING_SAID, ColourDescription, colour_description, completed, unconvertible
from anb.mp4.errors import DAMAGED, TOO_COMPLEX, UnreadableClip
from anb.mp4.parameter_sets import CodedPicture, Reader

MAX_DESCRIPTIONS: Final = 8  # of one track's samples
MAX_CONFIGURATION_BYTES: Final = 16 * 1024
MAX_PARAMETER_SETS: Final = 16  # of one description, and of its first samples
MAX_PIXELS: Final = 4096 * 2304  # a little over 4K; a larger picture costs memory before it is refused
MAX_SIDE_PIXELS: Final = 4096
MAX_PIXEL_SIDE: Final = 2**31 - 1  # in a pixel's shape: ffmpeg takes a larger one for negative
MAX_SIDES: Final = 20  # one of the picture to the other, as shown: 64 lines of 720p

Codec = Literal["h264", "hevc"]

CODECS: Final[dict[bytes, Codec]] = {
    **dict.fromkeys((b"avc1", b"avc3", b"dva1", b"dvav"), "h264"),
    **dict.fromkeys((b"hvc1", b"hev1", b"dvh1", b"dvhe"), "hevc"),
}
READERS: Final[dict[Codec, Reader]] = {"h264": h264.READER, "hevc": hevc.READER}
_STILL_PICTURES: Final = frozenset({b"jpeg", b"mjpg", b"mjp2", b"png ", b"gif "})
_ENCRYPTED_ENTRIES: Final = frozenset({b"encv", b"drmi"})
_VISUAL_SAMPLE_ENTRY_BYTES: Final = 78  # its fields before the boxes inside
_CODE_POINTS: Final = struct.Struct(">HHH")
_DOLBY_VISION: Final = (b"dvcC", b"dvvC", b"dvwC")
_DOLBY_VISION_ALONE: Final = 5  # the profile whose base layer is in colours that only its decoders know

_ONLY_A_PICTURE = "El archivo contiene una imagen fija, no un video."
ENCRYPTED: Final = "El video está cifrado; se aceptan videos H.264 o HEVC sin protección."
_DOLBY_VISION_5 = (
    "El video usa Dolby Vision de perfil 5, cuyos colores no se pueden convertir; expórtalo en HDR10, HLG o BT.709."
)

FirstSamples = Callable[[], Iterable[bytes]]


class Presentation(NamedTuple):
    """How a track says that its picture is to be shown: its size, if not 0, and a pixel's width over its height."""

    size: tuple[int, int] = (0, 0)
    pixel_shape: Fraction | None = None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`width` and `height` are pixels as shown: cropped to the clean aperture, and stretched by their shape.

    `refusal` says why the picture cannot be processed, if it cannot.
    """

    codec: Codec
    width: int
    height: int
    colours: ColourDescription
    configuration: bytes
    refusal: str | None


def smallest_picture(descriptions: memoryview, *, presentation: Presentation, first_samples: FirstSamples) -> Picture:
    """The smallest picture that the sample descriptions announce; none may be larger than we decode.

    `presentation` is how the track says that it is to be shown. `first_samples` are asked for parameter sets that
    the descriptions leave to them.
    """
    count = U32.unpack_from(descriptions, 4)[0]
    if count > MAX_DESCRIPTIONS:
        raise UnreadableClip(TOO_COMPLEX)
    pictures = [
        _read_description(kind, entry, presentation, first_samples)
        for kind, entry in islice(each_box(descriptions[8:]), count)
    ]
    if not pictures:
        raise UnreadableClip(DAMAGED)
    refused = [picture for picture in pictures if picture.refusal]
    return min(refused or pictures, key=pixels)


def pixels(picture: Picture | CodedPicture) -> int:
    return picture.width * picture.height


def _read_description(
    kind: bytes, entry: memoryview, presentation: Presentation, first_samples: FirstSamples
) -> Picture:
    codec = CODECS.get(kind)
    if codec is None:
        raise UnreadableClip(_unsupported(kind))
    boxes = boxes_in(entry[_VISUAL_SAMPLE_ENTRY_BYTES:])
    configuration = _configuration(boxes, b"avcC" if codec == "h264" else b"hvcC")
    pictures = _coded_pictures(codec, configuration, first_samples)
    coded = min(pictures, key=pixels)
    colours = completed(coded.colours, _container_colours(boxes))
    width, height = _shown_size(coded, entry, boxes, presentation)
    return Picture(
        codec=codec,
        width=width,
        height=height,
        colours=colours,
        configuration=configuration,
        refusal=_refusal(boxes, pictures, colours) or _shape_refusal(width, height),
    )


def _configuration(boxes: Boxes, kind: bytes) -> bytes:
    configuration = bytes(only_box(boxes, kind))
    if len(configuration) > MAX_CONFIGURATION_BYTES:
        raise UnreadableClip(TOO_COMPLEX)
    return configuration


def _unsupported(kind: bytes) -> str:
    if kind in _STILL_PICTURES:
        return _ONLY_A_PICTURE
    if kind in _ENCRYPTED_ENTRIES:
        return ENCRYPTED
    name = "".join(letter if letter.isalnum() else "?" for letter in kind.decode("ascii", "replace"))
    return f"El video usa el códec «{name}»; se aceptan H.264 y HEVC (H.265)."


def _coded_pictures(codec: Codec, configuration: bytes, first_samples: FirstSamples) -> Sequence[CodedPicture]:
    """What the parameter sets in the configuration say, or else those in the first samples."""
    reader = READERS[codec]
    units = list(reader.parameter_sets(configuration)) if configuration else []
    if not units:
        units = [unit for sample in first_samples() for unit in reader.parameter_sets_in(sample, configuration)]
    if not units:
        raise UnreadableClip(DAMAGED)
    if len(units) > MAX_PARAMETER_SETS:
        raise UnreadableClip(TOO_COMPLEX)
    try:
        return [reader.coded_picture(unit) for unit in units]
    except ValueError as error:
        raise UnreadableClip(DAMAGED) from error


def _refusal(boxes: Boxes, pictures: Sequence[CodedPicture], colours: ColourDescription) -> str | None:
    """Why the picture cannot be processed, if it cannot."""
    largest = max(pictures, key=pixels)
    if pixels(largest) > MAX_PIXELS or max(largest.width, largest.height) > MAX_SIDE_PIXELS:
        return f"El video mide {largest.width}x{largest.height} píxeles; el máximo es 4096x2304."
    if b"sinf" in boxes:
        return ENCRYPTED
    if any(_dolby_vision_profile(box) == _DOLBY_VISION_ALONE for kind in _DOLBY_VISION for box in boxes[kind]):
        return _DOLBY_VISION_5
    undecodable = next((picture.undecodable for picture in pictures if picture.undecodable), None)
    if undecodable:
        return f"El video usa una variante de su códec que no se puede decodificar: {undecodable}."
    return unconvertible(colours)


def _shape_refusal(width: int, height: int) -> str | None:
    if max(width, height) <= MAX_SIDES * min(width, height):
        return None
    size = f"{width}x{height} píxeles"
    return f"El video se muestra en {size}: un lado no puede medir más de {MAX_SIDES} veces el otro."


def _dolby_vision_profile(box: memoryview) -> int:
    return box[2] >> 1


# --- what is shown ----------------------------------------------------------------------------------------


def _shown_size(coded: CodedPicture, entry: memoryview, boxes: Boxes, presentation: Presentation) -> tuple[int, int]:
    """Width and height in square pixels of what players show."""
    width, height = _clean_aperture(boxes) or (coded.width, coded.height)
    if width > coded.width or height > coded.height:  # players take it for a mistake
        width, height = coded.width, coded.height
    stated = struct.unpack_from(">HH", entry, 24)
    shape = (
        presentation.pixel_shape
        or _container_pixel_shape(boxes)
        or _stretch(stated, presentation.size)
        or coded.pixel_shape
        or 1
    )
    return max(1, round(width * shape)), max(1, int(height))


def _clean_aperture(boxes: Boxes) -> tuple[Fraction, Fraction] | None:
    """The size in the first clap box, which states fractions of pixels."""
    for box in boxes[b"clap"]:
        width, width_over, height, height_over = struct.unpack_from(">4I", box)
        if width and width_over and height and height_over:
            return Fraction(width, width_over), Fraction(height, height_over)
    return None


def _container_pixel_shape(boxes: Boxes) -> Fraction | None:
    for box in boxes[b"pasp"]:
        across, down = struct.unpack_from(">II", box)
        if max(across, down) > MAX_PIXEL_SIDE:
            raise UnreadableClip(DAMAGED)
        if across and down:
            return Fraction(across, down)
    return None


def _stretch(stated: tuple[int, ...], presentation: tuple[int, int]) -> Fraction | None:
    """How much wider than it is the description's picture is to be shown, if the track says so."""
    if not all(stated) or not all(presentation) or stated == presentation:
        return None
    return Fraction(presentation[0] * stated[1], presentation[1] * stated[0])


def _container_colours(boxes: Boxes) -> ColourDescription:
    """What the first colr box of code points says; others hold an ICC profile."""
    for box in boxes[b"colr"]:
        kind = bytes(box[:4])
        if kind in (b"nclx", b"nclc"):
            primaries, transfer, matrix = _CODE_POINTS.unpack_from(box, 4)
            full_range = bool(box[10] & 0x80) if kind == b"nclx" else None
            return colour_description(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)
    return NOTHING_SAID
