"""The parameter sets in an hvcC box (ISO/IEC 14496-15) and the picture in each (ITU-T H.265, 7.3.2.2.1)."""

from contextlib import suppress
from typing import Final

from anb.mp4.boxes import U16
from anb.mp4.colours import NOTHING_SAID
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

_SPS: Final = 33  # NAL unit type
_HEADER_BYTES: Final = 22  # of an hvcC box, before its parameter sets
_MAX_PICTURE_SETS: Final = 64
_MAX_PICTURES_IN_SET: Final = 16
_DEPTHS: Final = frozenset({8, 9, 10, 12})  # that ffmpeg decodes


def parameter_sets(configuration: bytes) -> list[bytes]:
    return [unit for unit in units(configuration)[0] if is_parameter_set(unit)]


def units(configuration: bytes) -> tuple[list[bytes], int]:
    """All NAL units in the content of an hvcC box, and where it ends."""
    position, found = _HEADER_BYTES + 1, []
    for _ in range(configuration[_HEADER_BYTES]):
        count = U16.unpack_from(configuration, position + 1)[0]
        position += 3
        for _ in range(count):
            unit, position = nal_unit(configuration, position)
            found.append(unit)
    return found, position


def is_parameter_set(unit: bytes) -> bool:
    """Whether it is one, of the base layer."""
    return len(unit) > 2 and unit[0] >> 1 == _SPS and not (unit[0] & 1 or unit[1] >> 3)


def coded_picture(nal: bytes) -> CodedPicture:
    """The picture of an HEVC SPS with its NAL header, conformance window applied; ValueError for what is not one."""
    bits = Bits(nal)
    bits.skip(16 + 4)  # NAL header, sps_video_parameter_set_id
    sub_layers = bits.u(3)
    bits.skip(1)  # sps_temporal_id_nesting_flag
    _skip_profile_tier_level(bits, sub_layers)
    bits.ue()  # sps_seq_parameter_set_id
    chroma_format, separate_planes = read_chroma_format(bits)
    width, height = bits.ue(), bits.ue()
    across, down = SUBSAMPLING[chroma_format]
    width, height = read_cropping(bits, width, height, across, down)
    pixel_shape, colours, undecodable = None, NOTHING_SAID, separate_planes
    with suppress(ValueError):  # decoders show a picture whose usability information ends too early
        undecodable = read_depth(bits, chroma_format=chroma_format, decodable=_DEPTHS) or undecodable
        _skip_coding_tools(bits, sub_layers)
        if bits.u(1):  # vui_parameters_present_flag
            pixel_shape, colours = read_usability(bits)
            undecodable = _read_field_sequence(bits) or undecodable
    return CodedPicture(width=width, height=height, pixel_shape=pixel_shape, colours=colours, undecodable=undecodable)


def _read_field_sequence(bits: Bits) -> str | None:
    """Read field_seq_flag, a few bits behind the colours; what of it our decoder does not know."""
    if bits.u(1):  # chroma_loc_info_present_flag
        bits.skip_numbers(2)
    bits.skip(1)  # neutral_chroma_indication_flag
    return "campos entrelazados como imágenes separadas" if bits.u(1) else None


def _skip_profile_tier_level(bits: Bits, sub_layers: int) -> None:
    bits.skip(88 + 8)  # the general profile and level
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)


def _skip_coding_tools(bits: Bits, sub_layers: int) -> None:
    """Go from the bit depths to vui_parameters_present_flag."""
    order_bits = bits.ue() + 4
    for _ in range(sub_layers + 1 if bits.u(1) else 1):  # sub_layer_ordering_info_present_flag
        bits.skip_numbers(3)
    bits.skip_numbers(6)  # sizes of blocks, depths of their hierarchy
    if bits.u(1) and bits.u(1):  # scaling_list_enabled_flag, sps_scaling_list_data_present_flag
        _skip_scaling_lists(bits)
    bits.skip(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.u(1):  # pcm_enabled_flag
        bits.skip(8)
        bits.skip_numbers(2)
        bits.skip(1)
    _skip_picture_sets(bits)
    if bits.u(1):  # long_term_ref_pics_present_flag
        bits.skip((order_bits + 1) * bits.ue())
    bits.skip(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _skip_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.u(1):
                bits.ue()
                continue
            # A list of more than 16 begins with the number for its corner; both signs take the same bits
            bits.skip_numbers((size > 1) + min(64, 16 << 2 * size))


def _skip_picture_sets(bits: Bits) -> None:
    """Short-term reference picture sets (7.3.7); each may be told by its difference to the one before."""
    pictures = 0
    count = bits.ue()
    if count > _MAX_PICTURE_SETS:
        raise ValueError("more sets than the standard allows")
    for number in range(count):
        if number and bits.u(1):
            bits.skip(1)  # delta_rps_sign
            bits.ue()
            pictures = sum(bool(bits.u(1) or bits.u(1)) for _ in range(pictures + 1))
        else:
            pictures = bits.ue() + bits.ue()
            if pictures > _MAX_PICTURES_IN_SET:
                raise ValueError("more pictures than the standard allows")
            for _ in range(pictures):
                bits.skip_numbers(1)
                bits.skip(1)


READER: Final = Reader(
    header_bytes=_HEADER_BYTES,
    parameter_sets=parameter_sets,
    units=units,
    is_parameter_set=is_parameter_set,
    coded_picture=coded_picture,
)
