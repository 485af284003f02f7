import io
import struct

import pytest

from anb.mp4 import UnreadableClip, read_clip
from anb.mp4.layout import MAX_INDEX_BYTES
from tests.boxes import (
    FTYP,
    MDAT,
    PICTURES,
    box,
    file_of,
    fragment,
    fragmented,
    movie,
    read,
    refusal_of,
    video,
)


def test_the_index_may_come_first():
    index_first = FTYP + movie(video(offsets=[1000])) + MDAT

    assert read(index_first).index_first
    assert not read(file_of(video())).index_first


def test_the_media_is_never_read():
    reads = []

    class Watched(io.BytesIO):
        def read(self, count=-1):
            reads.append((self.tell(), count))
            return super().read(count)

    data = file_of(video())
    read_clip(Watched(data), size_bytes=len(data))

    media_starts = len(FTYP) + 16
    assert [(at, count) for at, count in reads if at + count > media_starts and at < media_starts + 2900] == []
    assert len(reads) < 10


def test_a_file_larger_than_32_bits_is_read():
    media = struct.pack(">I4sQ", 1, b"mdat", (1 << 33) + 16)
    tail = movie(video())

    class Sparse(io.BytesIO):
        def seek(self, position, whence=0):
            return super().seek(position if position < 64 else position - (1 << 33), whence)

    clip = read_clip(Sparse(FTYP + media + tail), size_bytes=len(FTYP + media + tail) + (1 << 33))

    assert clip.frames == 60


def test_a_file_of_more_pieces_than_any_recording_has_is_refused():
    message = refusal_of(file_of(video(), media=MDAT + box(b"free") * 20_000))

    assert "demasiadas piezas pequeñas" in message


def test_an_empty_file_is_refused():
    assert refusal_of(b"") == "El archivo está vacío."


@pytest.mark.parametrize(
    "data",
    [
        b"hola",
        b"#EXTM3U\n#EXTINF:1,\nhttp://example.com/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x1a\x45\xdf\xa3" + bytes(60),
        b"\x89PNG\r\n\x1a\n" + bytes(60),
        bytes(100),
        movie(video()) + MDAT,
        file_of(video(), ftyp=box(b"ftyp", b"heic", bytes(4), b"mif1")),
    ],
    ids=["text", "HLS", "concat", "SVG", "WebM", "PNG", "zeros", "no ftyp", "HEIC"],
)
def test_what_is_not_an_mp4_is_refused(data):
    assert refusal_of(data) == "El archivo no es un video MP4."


def test_quicktime_is_not_mp4():
    assert "QuickTime" in refusal_of(file_of(video(), ftyp=box(b"ftyp", b"qt  ", bytes(4), b"qt  ")))


def test_an_mp4_that_is_also_quicktime_is_accepted():
    assert read(file_of(video(), ftyp=box(b"ftyp", b"qt  ", bytes(4), b"mp42qt  "))).frames == 60


def test_a_truncated_file_is_refused_wherever_it_is_cut():
    data = file_of(video())

    for end in range(16, len(data) - 1):
        with pytest.raises(UnreadableClip):
            read(data[:end])


def test_a_file_that_is_shorter_than_announced_is_refused():
    data = file_of(video())

    with pytest.raises(UnreadableClip, match="incompleto"):
        read_clip(io.BytesIO(data[:-10]), size_bytes=len(data))


def test_a_file_without_its_index_is_refused():
    assert refusal_of(FTYP + MDAT) == "El video está incompleto: le falta el índice."


def test_two_indexes_are_refused():
    assert "dañado" in refusal_of(file_of(video()) + movie(video()))


def test_an_index_larger_than_we_read_is_refused_unread():
    huge = struct.pack(">I4s", MAX_INDEX_BYTES + 9, b"moov")

    class Unread(io.BytesIO):
        def read(self, count=-1):
            assert count <= 1024
            return super().read(count)

    with pytest.raises(UnreadableClip, match="demasiado grande"):
        read_clip(Unread(FTYP + huge + bytes(8)), size_bytes=len(FTYP) + MAX_INDEX_BYTES + 9)


# --- what stands before and after the boxes of the video ---------------------------------------------------

BEFORE_MEDIA = len(FTYP) + 8
INDEX_LAST = FTYP + PICTURES + movie(video(sample_bytes=50, offsets=[BEFORE_MEDIA]))
BEFORE_LATER_MEDIA = len(INDEX_LAST) - len(PICTURES) + 8
INDEX_FIRST = FTYP + movie(video(sample_bytes=50, offsets=[BEFORE_LATER_MEDIA])) + PICTURES
FRAGMENTS = fragmented(
    *(fragment(start=each * 30_000, durations=[1000] * 30, sample_bytes=100, media=PICTURES) for each in range(3))
)
FILES = pytest.mark.parametrize(
    "data", [INDEX_LAST, INDEX_FIRST, FRAGMENTS], ids=["index last", "first", "fragments"]
)

TRAILERS = {
    "a camera's signature": bytes((i * 73 + 41) & 255 for i in range(5000)) + b"8db42d694ccc418790edff439fe026bf",
    "a length that is none": b"\x00\x00\x00\x05abcd" + bytes(20),
    "a long length cut short": b"\x00\x00\x00\x01abcd\x00\x00",
    "zeros": bytes(100_000),
    "few zeros": bytes(3),
    "flash memory": b"\xff" * 1000,
    "text": b"recorded by a camera that signs its files",
    "a picture": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4,
    "a box of its own": box(b"CAME", bytes(500)),
    "free space": box(b"free", bytes(500)),
    "zeros, then a signature": bytes(1000) + b"8db42d694ccc418790edff439fe026bf",
}


@FILES
@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS.keys())
def test_whatever_follows_the_last_box_is_none_of_the_video(data, trailer):
    assert read(data + trailer) == read(data)


@FILES
@pytest.mark.parametrize(
    "leader",
    [
        box(b"free", bytes(100)),
        box(b"styp", b"msdh", bytes(4), b"msdhmsix"),
        box(b"skip") + box(b"free"),
        struct.pack(">I4sQ", 1, b"free", 16),
    ],
    ids=["free", "styp", "two", "a long length"],
)
def test_free_space_and_a_segment_type_may_stand_before_the_brand(data, leader):
    assert read(leader + moved(data, len(leader))).frames == read(data).frames


def moved(data, by):
    """The file with its chunks where they are when so much stands before it."""
    for place in (BEFORE_MEDIA, BEFORE_LATER_MEDIA):
        data = data.replace(struct.pack(">III", 0, 1, place), struct.pack(">III", 0, 1, place + by))
    return data


@pytest.mark.parametrize("leader", [b"mdat", b"moov", b"uuid", b"hola", bytes(4)])
def test_anything_else_before_the_brand_is_not_an_mp4(leader):
    assert refusal_of(box(leader, bytes(20)) + INDEX_LAST) == "El archivo no es un video MP4."


def test_free_space_alone_is_not_an_mp4():
    assert read_or_refusal(box(b"free", bytes(20)) + movie(video()) + PICTURES) == "El archivo no es un video MP4."


def read_or_refusal(data):
    try:
        return read(data)
    except UnreadableClip as refusal:
        return refusal.message


@pytest.mark.parametrize("filling", [b"\x00", b"\xff"], ids=["zeros", "flash memory"])
@FILES
def test_a_file_that_was_cut_and_filled_up_stays_refused(data, filling):
    whole = read(data)
    nothing_but_zeros = len(PICTURES) - 8  # what is blank from the start was not cut, as far as we can see
    for lost in {*range(1, len(data) - len(FTYP), 3)} - {nothing_but_zeros}:
        for padding in (lost // 2, lost, lost + 5000):
            found = read_or_refusal(data[:-lost] + filling * padding)
            # Whole fragments may be left; and some bytes of zeros may be how a camera aligns its pictures
            assert isinstance(found, str) or found.frames < whole.frames or lost < 16
