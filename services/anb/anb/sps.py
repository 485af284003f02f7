"""The size of the picture as a sequence parameter set states it: what a decoder believes, not the container.

Field order: ITU-T H.264 (7.3.2.1.1) and H.265 (7.3.2.2.1).
"""

from typing import Final

# The size lies within the first bytes even when every optional list before it is present
_LONGEST_PREFIX_BYTES: Final = 1024
_PROFILES_WITH_CHROMA: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_SUBSAMPLING: Final = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # (across, down) by chroma_format_idc


class _Bits:
    """Reads a NAL unit bit by bit; ValueError past its end."""

    def __init__(self, nal: bytes) -> None:
        # The third byte of 00 00 03 is there only to keep start codes out of the payload
        payload = nal[:_LONGEST_PREFIX_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
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


def h264_size(nal: bytes) -> tuple[int, int]:
    """Width and height in pixels, cropping applied, of an H.264 SPS with its NAL header.

    Raises ValueError for what is not one.
    """
    bits = _Bits(nal)
    chroma_format = _h264_chroma_format(bits)
    bits.ue()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.skip(1)  # gaps_in_frame_num_value_allowed_flag
    width, map_height = (bits.ue() + 1) * 16, (bits.ue() + 1) * 16
    field_rows = 2 - bits.u(1)  # 2 when frames may be coded as two fields
    bits.skip(field_rows)  # mb_adaptive_frame_field_flag only then, direct_8x8_inference_flag always
    across, down = _SUBSAMPLING[chroma_format]
    return _cropped(bits, width, map_height * field_rows, across, down * field_rows)


def hevc_size(nal: bytes) -> tuple[int, int]:
    """Width and height in pixels, conformance window applied, of an HEVC SPS with its NAL header.

    Raises ValueError for what is not one.
    """
    bits = _Bits(nal)
    bits.skip(16 + 4)  # NAL header, sps_video_parameter_set_id
    sub_layers = bits.u(3)
    bits.skip(1)  # sps_temporal_id_nesting_flag
    _skip_profile_tier_level(bits, sub_layers)
    bits.ue()  # sps_seq_parameter_set_id
    chroma_format = _chroma_format(bits)
    width, height = bits.ue(), bits.ue()
    across, down = _SUBSAMPLING[chroma_format]
    return _cropped(bits, width, height, across, down)


def _h264_chroma_format(bits: _Bits) -> int:
    """Read up to the frame number; returns chroma_format_idc as it counts for cropping."""
    bits.skip(8)  # NAL header
    profile = bits.u(8)
    bits.skip(16)  # constraint flags, level
    bits.ue()  # seq_parameter_set_id
    if profile not in _PROFILES_WITH_CHROMA:
        return 1
    chroma_format = _chroma_format(bits)
    bits.ue()  # bit_depth_luma_minus8
    bits.ue()  # bit_depth_chroma_minus8
    bits.skip(1)  # qpprime_y_zero_transform_bypass_flag
    if bits.u(1):
        for index in range(12 if chroma_format == 3 else 8):
            if bits.u(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma_format


def _chroma_format(bits: _Bits) -> int:
    chroma_format = bits.ue()
    if chroma_format > 3:
        raise ValueError("an unknown chroma format")
    if chroma_format == 3:
        bits.skip(1)  # separate_colour_plane_flag: 4:4:4 is cropped by the pixel either way
    return chroma_format


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
    order = bits.ue()
    if order == 0:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif order == 1:
        bits.skip(1)  # delta_pic_order_always_zero_flag
        bits.se()
        bits.se()
        for _ in range(bits.ue()):  # ends at the latest with the bits
            bits.se()


def _skip_profile_tier_level(bits: _Bits, sub_layers: int) -> None:
    bits.skip(88 + 8)  # the general profile and level
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)


def _cropped(bits: _Bits, width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """The size less the cropping that follows in `bits`, counted in units of `across` by `down` pixels."""
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * across
        height -= (top + bottom) * down
    if width <= 0 or height <= 0:
        raise ValueError("nothing of the picture is left")
    return width, height
