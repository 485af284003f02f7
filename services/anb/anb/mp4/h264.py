"""The parameter sets in an avcC box (ISO/IEC 14496-15) and the picture in each (ITU-T H.264, 7.3.2.1.1)."""

from contextlib import suppress
from fractions import Fraction
from typing import Final

from anb.mp4.colours import NOTHING_SAID, ColourDescription
from anb.mp4.parameter_sets import (
    SUBSAMPLING,
    Bits,
    CodedPicture,
    Reader,
    nal_unit,
    read_chroma_format,
    read_cropping,
    read_depth,
    read_usability,
)

_SPS: Final = 7  # NAL unit type
_HEADER_BYTES: Final = 5  # of an avcC box, before its parameter sets
_RESERVED_ONES: Final = b"\xfc"
_DEPTHS: Final = frozenset({8, 9, 10, 12, 14})  # that ffmpeg decodes
_PROFILES_WITH_CHROMA: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


def parameter_sets(configuration: bytes) -> list[bytes]:
    position, found = 6, []
    for _ in range(configuration[5] & 31):
        unit, position = nal_unit(configuration, position)
        found.append(unit)
    return found


def units(configuration: bytes) -> tuple[list[bytes], int]:
    """All NAL units in the content of an avcC box, and where it ends."""
    position, found = _HEADER_BYTES, []
    for mask in (31, 255):  # how many SPS there are, and then PPS
        count, position = configuration[position] & mask, position + 1
        for _ in range(count):
            unit, position = nal_unit(configuration, position)
            found.append(unit)
    # Some profiles have four more bytes, which begin with ones; a sample's length never does
    has_more = configuration[position : position + 1] >= _RESERVED_ONES
    return found, position + 4 * has_more


def is_parameter_set(unit: bytes) -> bool:
    return bool(unit) and unit[0] & 31 == _SPS


def coded_picture(nal: bytes) -> CodedPicture:
    """The picture of an H.264 SPS with its NAL header; ValueError for what is not one."""
    bits = Bits(nal)
    chroma_format, undecodable = _read_until_frame_number(bits)
    bits.ue()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.skip(1)  # gaps_in_frame_num_value_allowed_flag
    width, map_height = (bits.ue() + 1) * 16, (bits.ue() + 1) * 16
    field_rows = 2 - bits.u(1)  # 2 when frames may be coded as two fields
    bits.skip(field_rows)  # mb_adaptive_frame_field_flag only then, direct_8x8_inference_flag always
    across, down = SUBSAMPLING[chroma_format]
    width, height = read_cropping(bits, width, map_height * field_rows, across, down * field_rows)
    pixel_shape, colours = _usability(bits)
    return CodedPicture(width=width, height=height, pixel_shape=pixel_shape, colours=colours, undecodable=undecodable)


def _usability(bits: Bits) -> tuple[Fraction | None, ColourDescription]:
    with suppress(ValueError):  # decoders show a picture whose usability information ends too early
        if bits.u(1):
            return read_usability(bits)
    return None, NOTHING_SAID


def _read_until_frame_number(bits: Bits) -> tuple[int, str | None]:
    """Read up to the frame number; returns chroma_format_idc, and what our decoder does not know."""
    bits.skip(8)  # NAL header
    profile = bits.u(8)
    bits.skip(16)  # constraint flags, level
    bits.ue()  # seq_parameter_set_id
    if profile not in _PROFILES_WITH_CHROMA:
        return 1, None
    chroma_format, undecodable = read_chroma_format(bits)
    # Unlike HEVC's, the decoder wants both depths to be the same though there are no colours
    undecodable = read_depth(bits, chroma_format=1, decodable=_DEPTHS) or undecodable
    bits.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.u(1):
        for index in range(12 if chroma_format == 3 else 8):
            if bits.u(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma_format, undecodable


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: Bits) -> None:
    order = bits.ue()
    if order == 0:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif order == 1:
        bits.skip(1)  # delta_pic_order_always_zero_flag
        bits.se()
        bits.se()
        bits.skip_numbers(bits.ue())  # ends at the latest with the bits


READER: Final = Reader(
    header_bytes=_HEADER_BYTES,
    parameter_sets=parameter_sets,
    units=units,
    is_parameter_set=is_parameter_set,
    coded_picture=coded_picture,
)
