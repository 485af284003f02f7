from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anb.mp4 import ColourDescription, h264, hevc
from tests.boxes import (
    X264_720X576_FIELDS,
    X264_1278X718_444,
    X264_1920X1080,
    avc_sps,
    hevc_sps_with_every_tool,
    high_avc_sps,
    usability,
)


def size_of(picture):
    return picture.width, picture.height


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        (X264_1920X1080, (1920, 1080)),
        (X264_720X576_FIELDS, (720, 576)),
        (X264_1278X718_444, (1278, 718)),
    ],
)
def test_a_real_parameter_set_gives_the_cropped_size(unit, size):
    assert size_of(h264.coded_picture(unit)) == size


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_any_even_size_is_read_as_written(half_width, half_height):
    picture = h264.coded_picture(avc_sps(2 * half_width, 2 * half_height))

    assert size_of(picture) == (2 * half_width, 2 * half_height)


@given(st.binary(max_size=60))
def test_any_bytes_as_a_parameter_set_give_a_size_or_a_value_error(data):
    for coded_picture in (h264.coded_picture, hevc.coded_picture):
        try:
            picture = coded_picture(data)
        except ValueError:
            continue
        assert picture.width > 0
        assert picture.height > 0


WIDE = ColourDescription(primaries=9, transfer=18, matrix=9, full_range=True)


@pytest.mark.parametrize(
    ("read", "unit"),
    [
        (hevc, "42010101600000030090000003000003003ca00a080c1f3e595952930bc39b848904820000030002000003003c10"),
        (hevc, "42010101600000030090000003000003003ca00a080b9f796662a491b6bc39b848904820000003002000000303c1"),
        (hevc, "42010101600000030090000003000003003ca00a080c1f3e5959529385e1cdc24482410000030001000003001e08"),
        (
            hevc,
            "42010401600000030090000003000003003c0000a00a080b9f7965652b295964932bc39b848904820000030002000003003c10",
        ),
        (hevc, "4201010408000003009c0800000300003c9001410183e35b2caca94985e1cdc24482410000030001000003001e08"),
        (h264, "6764000dacd941419f9f0e6e12241280000003008000001e078a14cb"),
        (h264, "67640015acd941433f261d6e12241280000003008000001e0f8a14cb"),
        (h264, "67f4000d919b282833f1b87370912094000003000400000300f03c50a658"),
    ],
    ids=["HEVC", "many references", "scaling lists", "layers", "HEVC 4:4:4", "matrices", "interlaced", "H.264 4:4:4"],
)
def test_pixel_shape_and_colours_are_read_behind_whatever_an_encoder_writes_before_them(read, unit):
    picture = read.coded_picture(bytes.fromhex(unit))

    assert (picture.pixel_shape, picture.colours) == (Fraction(4, 3), WIDE)


def test_an_hevc_parameter_set_that_uses_every_tool_is_read_to_its_colours():
    vui = usability(pixel_shape=(4, 3), colours=(9, 18, 9), full_range=1)

    picture = hevc.coded_picture(hevc_sps_with_every_tool(vui))

    assert size_of(picture) == (1920, 1080)
    assert (picture.pixel_shape, picture.colours) == (Fraction(4, 3), WIDE)


def test_a_parameter_set_that_ends_before_its_colours_still_has_a_size():
    unit = avc_sps(1920, 1080, usability(colours=(9, 18, 9)))

    picture = h264.coded_picture(unit[:-3])

    assert size_of(picture) == (1920, 1080)
    assert picture.colours == ColourDescription()


# As x265 writes it for interlaced video
FIELDS = bytes.fromhex("42010101600000030040000003000003003ca0182071f7965654a4c2f0168680000003008000000f04")


@pytest.mark.parametrize(
    ("picture", "undecodable"),
    [
        (h264.coded_picture(high_avc_sps(depths=(10, 10))), None),
        (h264.coded_picture(high_avc_sps(depths=(11, 11))), "11 bits por color"),
        (h264.coded_picture(high_avc_sps(depths=(10, 8))), "10 bits de brillo y 8 de color"),
        (h264.coded_picture(high_avc_sps(chroma_format=3)), None),
        (h264.coded_picture(high_avc_sps(chroma_format=3, separate_planes=True)), "planos de color separados"),
        (hevc.coded_picture(hevc_sps_with_every_tool("0", depths=(12, 12))), None),
        (hevc.coded_picture(hevc_sps_with_every_tool("0", depths=(16, 16))), "16 bits por color"),
        (hevc.coded_picture(hevc_sps_with_every_tool("0", depths=(10, 8))), "10 bits de brillo y 8 de color"),
        (hevc.coded_picture(FIELDS), "campos entrelazados como imágenes separadas"),
    ],
)
def test_what_our_decoder_does_not_know_of_a_codec_is_named(picture, undecodable):
    assert picture.undecodable == undecodable
