import pytest
from hypothesis import given
from hypothesis import strategies as st

from anb.mp4 import h264, hevc
from tests.boxes import X264_720X576_FIELDS, X264_1278X718_444, X264_1920X1080, avc_sps


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        (X264_1920X1080, (1920, 1080)),
        (X264_720X576_FIELDS, (720, 576)),
        (X264_1278X718_444, (1278, 718)),
    ],
)
def test_a_real_parameter_set_gives_the_cropped_size(unit, size):
    assert h264.coded_size(unit) == size


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_any_even_size_is_read_as_written(half_width, half_height):
    assert h264.coded_size(avc_sps(2 * half_width, 2 * half_height)) == (2 * half_width, 2 * half_height)


@given(st.binary(max_size=60))
def test_any_bytes_as_a_parameter_set_give_a_size_or_a_value_error(data):
    for size in (h264.coded_size, hevc.coded_size):
        try:
            width, height = size(data)
        except ValueError:
            continue
        assert width > 0
        assert height > 0
