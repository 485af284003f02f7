"""The parameter sets in an hvcC box (ISO/IEC 14496-15) and the size in each (ITU-T H.265, 7.3.2.2.1)."""

from collections.abc import Iterator
from typing import Final

from anb.mp4.boxes import U16
from anb.mp4.parameter_sets import SUBSAMPLING, Bits, nal_unit, read_chroma_format, read_cropping

_SPS: Final = 33  # NAL unit type


def parameter_sets(configuration: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(configuration[22]):
        kind, count = configuration[position] & 63, U16.unpack_from(configuration, position + 1)[0]
        position += 3
        for _ in range(count):
            unit, position = nal_unit(configuration, position)
            if kind == _SPS:
                yield unit


def coded_size(nal: bytes) -> tuple[int, int]:
    """Width and height in pixels, conformance window applied, of an HEVC SPS with its NAL header.

    Raises ValueError for what is not one.
    """
    bits = Bits(nal)
    bits.skip(16 + 4)  # NAL header, sps_video_parameter_set_id
    sub_layers = bits.u(3)
    bits.skip(1)  # sps_temporal_id_nesting_flag
    _skip_profile_tier_level(bits, sub_layers)
    bits.ue()  # sps_seq_parameter_set_id
    chroma_format = read_chroma_format(bits)
    width, height = bits.ue(), bits.ue()
    across, down = SUBSAMPLING[chroma_format]
    return read_cropping(bits, width, height, across, down)


def _skip_profile_tier_level(bits: Bits, sub_layers: int) -> None:
    bits.skip(88 + 8)  # the general profile and level
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)
