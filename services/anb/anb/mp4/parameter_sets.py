"""What H.264 and HEVC share in their sequence parameter sets, which state the size that a decoder believes."""

from typing import Final

from anb.mp4.boxes import U16
from anb.mp4.errors import DAMAGED, UnreadableClip

# The size lies within the first bytes even when every optional list before it is present
_MAX_PREFIX_BYTES: Final = 1024
SUBSAMPLING: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # (across, down) by chroma_format_idc


class Bits:
    """Reads a NAL unit bit by bit; ValueError past its end."""

    def __init__(self, nal: bytes) -> None:
        # The third byte of 00 00 03 is there only to keep start codes out of the payload
        payload = nal[:_MAX_PREFIX_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
        self._bits = "".join(f"{byte:08b}" for byte in payload)
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


def read_chroma_format(bits: Bits) -> int:
    chroma_format = bits.ue()
    if chroma_format > 3:
        raise ValueError("an unknown chroma format")
    if chroma_format == 3:
        bits.skip(1)  # separate_colour_plane_flag: 4:4:4 is cropped by the pixel either way
    return chroma_format


def read_cropping(bits: Bits, width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """The size less the cropping that follows in `bits`, counted in units of `across` by `down` pixels."""
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * across
        height -= (top + bottom) * down
    if width <= 0 or height <= 0:
        raise ValueError("nothing of the picture is left")
    return width, height


def nal_unit(configuration: bytes, position: int) -> tuple[bytes, int]:
    """The NAL unit behind the length at `position`, and where it ends."""
    start = position + 2
    end = start + U16.unpack_from(configuration, position)[0]
    if end > len(configuration):
        raise UnreadableClip(DAMAGED)
    return configuration[start:end], end
