import pytest

from tests.boxes import X265_1918X1078, avc_sps, avcc, file_of, hvcc, read, refusal_of, sample_entry, video


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
