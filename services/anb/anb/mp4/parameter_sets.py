"""What H.264 and HEVC share in their sequence parameter sets, which state the picture that a decoder believes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from anb.mp4.boxes import U16
from anb.mp4.colours import NOTHING_SAID, ColourDescription, colour_description
from anb.mp4.errors import DAMAGED, UnreadableClip

# What we read lies within the first bytes even when every optional list before it is present
_MAX_PREFIX_BYTES: Final = 2048
# By aspect_ratio_idc, from 1 on (H.264 and H.265, table E-1)
_PIXEL_SHAPES: Final = (
    *((1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
_PIXEL_SHAPE_FOLLOWS: Final = 255
SUBSAMPLING: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # (across, down) by chroma_format_idc


@dataclass(frozen=True, kw_only=True)
class CodedPicture:
    """`width` and `height` in pixels, cropping applied; a pixel's width over its height, if it says so.

    `undecodable` names what our decoder does not know of its codec, if it is one of those pictures.
    """

    width: int
    height: int
    pixel_shape: Fraction | None = None
    colours: ColourDescription = NOTHING_SAID
    undecodable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How a codec keeps its parameter sets: in a configuration, which its avcC or hvcC box holds, or in samples."""

    header_bytes: int  # of a configuration, before its parameter sets; the last one says how long lengths are
    parameter_sets: Callable[[bytes], list[bytes]]  # in a configuration
    units: Callable[[bytes], tuple[list[bytes], int]]  # all that are in a configuration, and where it ends
    is_parameter_set: Callable[[bytes], bool]
    coded_picture: Callable[[bytes], CodedPicture]  # ValueError for what is no parameter set

    def length_bytes(self, configuration: bytes) -> int:
        """How many bytes the length has that stands before each unit of a sample."""
        return (configuration[self.header_bytes - 1] & 3) + 1 if configuration else 4

    def begins_with_configuration(self, sample: bytes, configuration: bytes) -> bool:
        """Whether a sample begins like the configuration, which as a length would be longer than any sample."""
        head = configuration[: self.header_bytes]
        return len(configuration) > self.header_bytes and sample.startswith(head)

    def parameter_sets_in(self, sample: bytes, configuration: bytes) -> list[bytes]:
        """Those at the beginning of a sample, be they in a configuration that has been put there."""
        length = self.length_bytes(configuration)
        if self.begins_with_configuration(sample, configuration):
            return self.parameter_sets(sample) if mended(*self.units(sample), length) else []
        return [unit for unit in nal_units(sample, length) if self.is_parameter_set(unit)]


class Bits:
    """Reads a NAL unit bit by bit; ValueError past its end."""

    def __init__(self, nal: bytes) -> None:
        # The third byte of 00 00 03 is there only to keep start codes out of the payload
        payload = nal[:_MAX_PREFIX_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = f"{int.from_bytes(payload):0{8 * len(payload)}b}" if payload else ""
        self._position = 0

    def skip(self, count: int) -> None:
        self._position += count

    def u(self, count: int) -> int:
        """An unsigned integer of `count` bits."""
        end = self._position + count
        if end > len(self._bits):
            raise ValueError("the parameter set ends too early")
        value = int(self._bits[self._position : end], 2)
        self._position = end
        return value

    def ue(self) -> int:
        """An unsigned Exp-Golomb number."""
        zeros = self._bits.index("1", self._position) - self._position
        if zeros > 32:
            raise ValueError("a number longer than the standard allows")
        self._position += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        """A signed Exp-Golomb number."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)

    def skip_numbers(self, count: int) -> None:
        """Skip Exp-Golomb numbers: as many bits follow the first 1 as zeros stand before it."""
        for _ in range(count):
            zeros = self._bits.index("1", self._position) - self._position
            self._position += 2 * zeros + 1


def read_chroma_format(bits: Bits) -> tuple[int, str | None]:
    """The chroma_format_idc, and what of it our decoder does not know."""
    chroma_format = bits.ue()
    if chroma_format > 3:
        raise ValueError("an unknown chroma format")
    has_separate_planes = chroma_format == 3 and bits.u(1)
    return chroma_format, "planos de color separados" if has_separate_planes else None


def read_depth(bits: Bits, *, chroma_format: int, decodable: frozenset[int]) -> str | None:
    """Read the bits of brightness and colours; what of them our decoder does not know."""
    luma, chroma = bits.ue() + 8, bits.ue() + 8
    if chroma_format and luma != chroma:
        return f"{luma} bits de brillo y {chroma} de color"
    return None if luma in decodable else f"{luma} bits por color"


def read_cropping(bits: Bits, width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """The size less the cropping that follows in `bits`, counted in units of `across` by `down` pixels."""
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * across
        height -= (top + bottom) * down
    if width <= 0 or height <= 0:
        raise ValueError("nothing of the picture is left")
    return width, height


def read_usability(bits: Bits) -> tuple[Fraction | None, ColourDescription]:
    """The pixel shape and the colours, with which the usability information (VUI) of both codecs begins."""
    pixel_shape = _read_pixel_shape(bits) if bits.u(1) else None
    if bits.u(1):  # overscan_info_present_flag
        bits.skip(1)
    return pixel_shape, _read_colours(bits) if bits.u(1) else NOTHING_SAID


def _read_pixel_shape(bits: Bits) -> Fraction | None:
    code = bits.u(8)
    if code == _PIXEL_SHAPE_FOLLOWS:
        across, down = bits.u(16), bits.u(16)
        return Fraction(across, down) if across and down else None
    return Fraction(*_PIXEL_SHAPES[code - 1]) if 1 <= code <= len(_PIXEL_SHAPES) else None


def _read_colours(bits: Bits) -> ColourDescription:
    bits.skip(3)  # video_format
    full_range = bool(bits.u(1))
    if not bits.u(1):
        return ColourDescription(full_range=full_range)
    primaries, transfer, matrix = bits.u(8), bits.u(8), bits.u(8)
    return colour_description(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)


def nal_unit(configuration: bytes, position: int) -> tuple[bytes, int]:
    """The NAL unit behind the length at `position`, and where it ends."""
    start = position + 2
    end = start + U16.unpack_from(configuration, position)[0]
    if end > len(configuration):
        raise UnreadableClip(DAMAGED)
    return configuration[start:end], end


def nal_units(sample: bytes, length_bytes: int) -> Iterator[bytes]:
    """The NAL units at the beginning of a sample, the last one perhaps cut short.

    They stand behind their lengths, or as in a file of their own behind start codes.
    """
    if sample.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        yield from sample.split(b"\x00\x00\x01")[1:]
        return
    while len(sample) > length_bytes:
        length = int.from_bytes(sample[:length_bytes])
        yield sample[length_bytes : length_bytes + length]
        sample = sample[length_bytes + length :]


def mended(units: Sequence[bytes], size_bytes: int, length_bytes: int) -> bytes | None:
    """The units of a configuration as a sample has them, in so many bytes; None where they do not fit.

    Decoders skip zeros behind the last one.
    """
    filling = size_bytes - sum(length_bytes + len(unit) for unit in units)
    if not units or filling < 0:
        return None
    filled = (*units[:-1], units[-1] + bytes(filling))
    return b"".join(len(unit).to_bytes(length_bytes) + unit for unit in filled)
