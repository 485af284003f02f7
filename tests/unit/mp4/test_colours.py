import itertools

import pytest

from anb.mp4 import ColourDescription
from tests.boxes import (
    X265_1918X1078,
    avc_sps,
    avcc,
    box,
    colr,
    file_of,
    hvcc,
    read,
    refusal_of,
    sample_entry,
    usability,
    video,
)

HLG = (9, 18, 9)
SAYS_NOTHING = (2, 2, 2)


def file_with(*, stream=None, container=None, full_range=0):
    vui = usability(colours=stream, full_range=full_range) if stream else ""
    boxes = (colr(*container, full_range=1),) if container else ()
    return file_of(video(entry=sample_entry(b"avc1", avcc(avc_sps(1920, 1080, vui)), *boxes)))


def codes(data):
    colours = read(data).colours
    return colours.primaries, colours.transfer, colours.matrix


def test_nobody_says_how_colours_are_coded():
    assert read(file_with()).colours == ColourDescription(primaries=2, transfer=2, matrix=2, full_range=None)


def test_the_stream_says_how_its_colours_are_coded():
    colours = read(file_with(stream=HLG, full_range=1)).colours

    assert colours == ColourDescription(primaries=9, transfer=18, matrix=9, full_range=True)
    assert colours.is_hdr


def test_the_file_says_it_where_the_stream_does_not():
    assert codes(file_with(container=HLG)) == HLG
    assert read(file_with(container=HLG)).colours.full_range is True


def test_the_stream_is_believed_more_than_the_file():
    assert codes(file_with(stream=HLG, container=(1, 1, 1))) == HLG


def test_what_the_stream_leaves_open_the_file_fills_in():
    assert codes(file_with(stream=(9, 18, 2), container=(1, 1, 9))) == HLG


def test_an_hevc_stream_may_leave_it_to_the_file():
    assert codes(file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078), colr(*HLG))))) == HLG


def test_numbers_that_the_standard_keeps_for_later_say_nothing():
    assert codes(file_with(stream=(3, 200, 77))) == SAYS_NOTHING


def test_a_colour_profile_says_nothing_that_we_read():
    profile = box(b"colr", b"prof", bytes(500))
    data = file_of(video(entry=sample_entry(b"avc1", avcc(avc_sps(1920, 1080)), profile)))

    assert codes(data) == SAYS_NOTHING


def test_colours_that_the_worker_converts_are_accepted():
    for wanted in itertools.product(
        [1, 2, 9, 10, 12], [1, 2, 8, 10, 13, 14, 16, 18], [0, 1, 2, 4, 5, 8, 9, 10, 12, 14]
    ):
        assert codes(file_with(stream=wanted)) == wanted
        assert codes(file_with(container=wanted)) == wanted


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ((9, 16, 11), "la matriz: SMPTE 2085"),
        ((9, 16, 15), "la matriz: IPT-PQ-C2"),
        ((1, 1, 16), "la matriz: YCgCo-Re"),
        ((1, 1, 17), "la matriz: YCgCo-Ro"),
        ((12, 17, 1), "la transferencia: SMPTE 428"),
    ],
)
@pytest.mark.parametrize("who", ["stream", "container"])
def test_colours_that_the_worker_cannot_convert_are_refused_and_named(wanted, named, who):
    assert named in refusal_of(file_with(**{who: wanted}))
