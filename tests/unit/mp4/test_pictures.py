import io
import struct

import pytest

from anb.mp4 import corrections
from anb.mp4.parameter_sets import nal_units
from tests.boxes import (
    FTYP,
    QUARTER_TURN,
    X265_1918X1078,
    avc_sps,
    avcc,
    box,
    clap,
    file_of,
    full,
    hevc_sps_with_every_tool,
    hvcc,
    moof,
    movie,
    pasp,
    read,
    refusal_of,
    sample_entry,
    usability,
    video,
)

SPS = avc_sps(1920, 1080)


def size_of(data):
    clip = read(data)
    return clip.width, clip.height


def test_the_size_is_the_coded_one_whatever_the_container_says():
    liar = sample_entry(b"avc1", avcc(avc_sps(320, 180)), width=1920, height=1080)

    clip = read(file_of(video(entry=liar)))

    assert (clip.width, clip.height) == (320, 180)


def test_of_several_parameter_sets_the_smallest_counts():
    liar = sample_entry(b"avc1", avcc(avc_sps(1920, 1080), avc_sps(320, 180)))

    clip = read(file_of(video(entry=liar)))

    assert (clip.width, clip.height) == (320, 180)


def test_hevc_is_read_too():
    clip = read(file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078)))))

    assert (clip.codec, clip.width, clip.height) == ("hevc", 1918, 1078)


@pytest.mark.parametrize("codec", [b"av01", b"apcn", b"mp4v", b"vp09"])
def test_another_codec_is_refused_and_the_message_says_what_is_accepted(codec):
    message = refusal_of(file_of(video(entry=sample_entry(codec))))

    assert codec.decode() in message
    assert "H.264 y HEVC" in message


def test_an_encrypted_video_is_refused():
    assert "cifrado" in refusal_of(file_of(video(entry=sample_entry(b"encv"))))


@pytest.mark.parametrize("size", [(16_000, 8_800), (7680, 4320), (8192, 64), (64, 8192)])
def test_a_picture_larger_than_4k_is_refused(size):
    assert "el máximo es 4096x2304" in refusal_of(file_of(video(size=size)))


@pytest.mark.parametrize("size", [(4096, 2304), (2304, 4096), (3840, 2160)])
def test_4k_is_accepted_either_way_up(size):
    clip = read(file_of(video(size=size)))

    assert (clip.width, clip.height) == size


# --- what is shown of it ----------------------------------------------------------------------------------


def shown(*boxes, sps=SPS, stated=(1920, 1080), **track):
    entry = sample_entry(b"avc1", avcc(sps), *boxes, width=stated[0], height=stated[1])
    return size_of(file_of(video(entry=entry, **track)))


def test_the_clean_aperture_is_what_is_shown():
    assert shown(clap(200, 100)) == (200, 100)
    assert shown(clap(1919.5, 1080)) == (1920, 1080)


@pytest.mark.parametrize(
    "aperture",
    [clap(1921, 1080), clap(1920, 1081), clap(0, 0), box(b"clap", struct.pack(">8I", 200, 0, 100, 0, 0, 0, 0, 0))],
    ids=["wider", "higher", "empty", "over zero"],
)
def test_a_clean_aperture_that_cannot_be_is_ignored(aperture):
    assert shown(aperture) == (1920, 1080)


@pytest.mark.parametrize(
    ("coded", "shape", "size"),
    [
        ((1440, 1080), (4, 3), (1920, 1080)),
        ((1920, 1080), (1, 1), (1920, 1080)),
        ((1920, 1080), (1, 2), (960, 1080)),
        ((960, 1080), (2, 1), (1920, 1080)),
        ((720, 576), (64, 45), (1024, 576)),
        ((1920, 1080), (0, 0), (1920, 1080)),
    ],
)
def test_a_picture_is_as_wide_as_its_pixels_make_it(coded, shape, size):
    assert shown(pasp(*shape), sps=avc_sps(*coded), stated=coded) == size
    assert shown(sps=avc_sps(coded[0], coded[1], usability(pixel_shape=shape)), stated=coded) == size


def test_the_file_is_believed_more_than_the_stream_about_the_shape_of_pixels():
    wide = avc_sps(1440, 1080, usability(pixel_shape=(4, 3)))

    assert shown(pasp(1, 1), sps=wide) == (1440, 1080)


def test_the_track_may_say_how_wide_its_picture_is_to_be_shown():
    assert shown(sps=avc_sps(1440, 1080), stated=(1440, 1080), presentation=(1920, 1080)) == (1920, 1080)
    assert shown(presentation=(960, 540)) == (1920, 1080)
    assert shown(pasp(1, 1), presentation=(3840, 1080)) == (1920, 1080)


def test_a_turned_picture_is_stretched_before_it_is_turned():
    assert shown(pasp(4, 3), sps=avc_sps(1440, 1080), matrix=QUARTER_TURN) == (1080, 1920)


def test_the_aperture_is_stretched_like_the_picture():
    assert shown(clap(720, 1080), pasp(2, 1)) == (1440, 1080)


@pytest.mark.parametrize(
    ("matrix", "size"),
    [
        ((2 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), (2880, 1080)),
        ((1 << 15, 0, 0, 0, 1 << 15, 0, 0, 0, 1 << 30), (1440, 1080)),
        ((0,) * 9, (1440, 1080)),
    ],
    ids=["wider", "smaller", "nothing"],
)
def test_the_track_may_stretch_its_picture(matrix, size):
    assert shown(sps=avc_sps(1440, 1080), matrix=matrix) == size


def test_a_pixel_shape_that_no_decoder_reads_is_refused():
    entry = sample_entry(b"avc1", avcc(SPS), pasp(1 << 31, (1 << 31) - 1))

    assert "dañado" in refusal_of(file_of(video(entry=entry)))


@pytest.mark.parametrize(("shape", "size"), [((12, 1), "23040x1080"), ((1, 36), "53x1080")])
def test_a_picture_that_is_next_to_a_line_is_refused(shape, size):
    entry = sample_entry(b"avc1", avcc(SPS), pasp(*shape))

    assert f"se muestra en {size} píxeles" in refusal_of(file_of(video(entry=entry)))


# --- parameter sets in the samples ------------------------------------------------------------------------

SLICE = b"\x65" + b"\x88" * 90


def with_lengths(*units, length_bytes=4):
    return b"".join(len(unit).to_bytes(length_bytes) + unit for unit in units)


def with_start_codes(*units):
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


def in_samples(first, *, entry, then=b"\x00\x00\x00\x5b" + SLICE, count=60):
    samples = [first, *[then] * (count - 1)]
    track = video(entry=entry, sizes=[len(sample) for sample in samples], offsets=[len(FTYP) + 8])
    return FTYP + box(b"mdat", *samples) + movie(track)


@pytest.mark.parametrize("kind", [b"avc1", b"avc3"])
def test_parameter_sets_may_be_in_the_samples_alone(kind):
    found = in_samples(with_lengths(b"\x09\xf0", SPS, b"\x68\xee", SLICE), entry=sample_entry(kind, avcc()))

    assert size_of(found) == (1920, 1080)


def test_lengths_in_samples_have_as_many_bytes_as_the_configuration_says():
    short = box(b"avcC", bytes((1, 66, 0, 40, 0xFC | 1, 0xE0, 0)))
    found = in_samples(with_lengths(SPS, SLICE, length_bytes=2), entry=sample_entry(b"avc3", short))

    assert size_of(found) == (1920, 1080)


@pytest.mark.parametrize("configuration", [box(b"avcC"), avcc()], ids=["nothing", "no parameter set"])
def test_samples_may_have_start_codes_where_the_configuration_is_empty(configuration):
    entry = sample_entry(b"avc1", configuration)

    assert size_of(in_samples(with_start_codes(b"\x09\xf0", SPS, b"\x68\xee", SLICE), entry=entry)) == (1920, 1080)


def test_hevc_samples_may_have_the_parameter_sets_too():
    of_another_layer = bytes((X265_1918X1078[0], 0x09)) + X265_1918X1078[2:]
    samples = with_lengths(b"\x40\x01\x0c", X265_1918X1078, of_another_layer, b"\x26\x01" + bytes(40))
    configuration = box(b"hvcC", bytes(21), b"\xff\x00")

    assert size_of(in_samples(samples, entry=sample_entry(b"hev1", configuration))) == (1918, 1078)


def test_parameter_sets_may_come_with_a_later_one_of_the_first_samples():
    entry = sample_entry(b"avc3", avcc())
    found = in_samples(with_lengths(SLICE), then=with_lengths(SPS, SLICE), entry=entry)

    assert size_of(found) == (1920, 1080)


def test_the_smallest_picture_counts_of_those_in_samples_too():
    first = with_lengths(SPS, avc_sps(320, 180), SLICE)

    assert size_of(in_samples(first, entry=sample_entry(b"avc3", avcc()))) == (320, 180)


@pytest.mark.parametrize("more", [b"", b"\xfd\xf8\xf8\x00"], ids=["plain", "a high profile"])
def test_a_configuration_in_a_sample_is_found_and_made_into_what_decoders_understand(more):
    configuration = bytes((1, 66, 0, 40, 0xFF, 0xE1)) + units_of(SPS) + b"\x01" + units_of(b"\x68\xee") + more
    data = in_samples(configuration + with_lengths(SLICE), entry=sample_entry(b"avc3", avcc()))

    assert size_of(data) == (1920, 1080)
    [(position, correction)] = corrections(io.BytesIO(data), read(data), size_bytes=len(data))
    assert data[position:].startswith(configuration + with_lengths(SLICE))
    assert len(correction) == len(configuration)
    sps, pps = nal_units(correction, 4)
    assert (sps, pps.rstrip(b"\x00")) == (SPS, b"\x68\xee")


def units_of(unit):
    return struct.pack(">H", len(unit)) + unit


def test_nothing_is_made_of_a_file_whose_configuration_is_where_it_belongs():
    data = file_of(video())

    assert list(corrections(io.BytesIO(data), read(data), size_bytes=len(data))) == []


def test_fragments_may_have_the_parameter_sets_in_their_samples():
    sample = with_lengths(SPS, SLICE)
    empty = video(entry=sample_entry(b"avc3", avcc()), deltas=(), offsets=())
    extends = box(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 0, 0, 0)))

    def index(offset):
        return moof(full(b"trun", struct.pack(">Ii", 30, offset), flags=0x1), sample_bytes=len(sample))

    fragment = index(len(index(0)) + 8) + box(b"mdat", sample * 30)

    assert size_of(FTYP + movie(empty, extends) + fragment) == (1920, 1080)
    assert "dañado" in refusal_of(FTYP + movie(empty, extends) + fragment + index(-(1 << 20)))
    assert "dañado" in refusal_of(FTYP + movie(empty, extends) + index(-(1 << 20)) + fragment)


@pytest.mark.parametrize(
    "first",
    [with_lengths(SLICE), bytes(100), b"\xff" * 100, with_lengths(b"", b"\x67"), b"\x00\x00\x01\x67\x42"],
    ids=["none", "zeros", "a length past the end", "empty ones", "cut short"],
)
def test_without_parameter_sets_anywhere_a_file_is_damaged(first):
    assert "dañado" in refusal_of(in_samples(first, then=first, entry=sample_entry(b"avc3", avcc())))


# --- what nobody can process ------------------------------------------------------------------------------


def test_encrypted_samples_are_refused_however_they_are_told():
    protection = box(b"sinf", box(b"frma", b"avc1"), full(b"schm", b"cenc", bytes(4)))
    told = (
        sample_entry(b"encv", avcc(SPS), protection),
        sample_entry(b"avc1", avcc(SPS), protection),
        sample_entry(b"drmi", avcc(SPS), protection),
    )

    for entry in told:
        assert "cifrado" in refusal_of(file_of(video(entry=entry)))


def dolby_vision(profile, compatibility=0, kind=b"dvcC"):
    return box(kind, bytes((1, 0, profile << 1, 0x0D, compatibility << 4)), bytes(19))


def test_what_our_decoder_does_not_know_of_a_codec_is_refused_and_named():
    described = sample_entry(b"hvc1", hvcc(hevc_sps_with_every_tool("0", depths=(16, 16))))

    assert "no se puede decodificar: 16 bits por color" in refusal_of(file_of(video(entry=described)))


def test_dolby_vision_with_a_base_of_h264_is_h264():
    described = sample_entry(b"dva1", avcc(SPS), dolby_vision(9, 2, b"dvvC"))

    assert read(file_of(video(entry=described))).codec == "h264"


@pytest.mark.parametrize("entry", [b"dvh1", b"dvhe", b"hvc1", b"hev1"])
def test_dolby_vision_of_profile_5_is_refused(entry):
    described = sample_entry(entry, hvcc(X265_1918X1078), dolby_vision(5))

    assert "Dolby Vision de perfil 5" in refusal_of(file_of(video(entry=described)))


@pytest.mark.parametrize(("profile", "kind"), [(4, b"dvcC"), (7, b"dvcC"), (8, b"dvvC")])
def test_other_profiles_have_a_base_that_anybody_shows(profile, kind):
    described = sample_entry(b"hvc1", hvcc(X265_1918X1078), dolby_vision(profile, 1, kind))

    assert size_of(file_of(video(entry=described))) == (1918, 1078)
