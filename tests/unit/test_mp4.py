import io
import struct
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anb import sps
from anb.mp4 import MOST_INDEX_BYTES, MOST_SAMPLES, UnreadableClip, read_clip
from tests.boxes import (
    FTYP,
    MDAT,
    QUARTER_TURN,
    X264_720X576_FIELDS,
    X264_1278X718_444,
    X264_1920X1080,
    X265_1918X1078,
    avc_sps,
    avcc,
    box,
    file_of,
    fragment,
    fragmented,
    full,
    hvcc,
    moof,
    movie,
    recording,
    sample_entry,
    video,
)


def read(data):
    return read_clip(io.BytesIO(data), size_bytes=len(data))


def refusal_of(data):
    with pytest.raises(UnreadableClip) as refusal:
        read(data)
    return refusal.value.message


# --- what a clip is ---------------------------------------------------------------------------------------


def test_a_clip_has_the_size_length_codec_and_frames_of_its_video_track():
    clip = read(file_of(video(handler=b"soun"), video(track_id=2)))

    assert (clip.width, clip.height, clip.duration_seconds) == (1920, 1080, 2.0)
    assert (clip.codec, clip.frames, clip.track_id, clip.tracks) == ("h264", 60, 2, 2)


def test_the_size_is_the_coded_one_whatever_the_container_says():
    liar = sample_entry(b"avc1", avcc(avc_sps(320, 180)), width=1920, height=1080)

    clip = read(file_of(video(entry=liar)))

    assert (clip.width, clip.height) == (320, 180)


def test_of_several_parameter_sets_the_smallest_counts():
    liar = sample_entry(b"avc1", avcc(avc_sps(1920, 1080), avc_sps(320, 180)))

    clip = read(file_of(video(entry=liar)))

    assert (clip.width, clip.height) == (320, 180)


def test_a_quarter_turn_swaps_width_and_height():
    clip = read(file_of(video(matrix=QUARTER_TURN)))

    assert (clip.width, clip.height) == (1080, 1920)


def test_hevc_is_read_too():
    clip = read(file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078)))))

    assert (clip.codec, clip.width, clip.height) == ("hevc", 1918, 1078)


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        (X264_1920X1080, (1920, 1080)),
        (X264_720X576_FIELDS, (720, 576)),
        (X264_1278X718_444, (1278, 718)),
    ],
)
def test_a_real_parameter_set_gives_the_cropped_size(unit, size):
    assert sps.h264_size(unit) == size


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_any_even_size_is_read_as_written(half_width, half_height):
    assert sps.h264_size(avc_sps(2 * half_width, 2 * half_height)) == (2 * half_width, 2 * half_height)


def test_the_first_track_that_we_decode_is_taken():
    cover = video(entry=sample_entry(b"jpeg"), track_id=1)

    assert read(file_of(cover, video(track_id=2))).track_id == 2


def test_an_edit_list_shortens_what_is_shown():
    assert read(file_of(video(edits=[(500, 3000, 1 << 16)]))).duration_seconds == 0.5


def test_an_empty_edit_only_delays():
    assert read(file_of(video(edits=[(700, -1, 1 << 16), (2000, 0, 1 << 16)]))).duration_seconds == 2.0


def test_an_edit_without_length_lasts_until_the_end():
    assert read(file_of(video(edits=[(0, 15_000, 1 << 16)]))).duration_seconds == 1.5


def test_the_reordering_delay_of_b_frames_is_not_cut_away():
    clip = read(file_of(video(edits=[(2000, 2000, 1 << 16)], shifts=[(60, 2000)])))

    assert clip.duration_seconds == 2.0


def test_edits_cannot_show_more_than_there_is():
    assert read(file_of(video(edits=[(2000, 0, 1 << 16)] * 30))).duration_seconds == 2.0


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


# --- fragments --------------------------------------------------------------------------------------------


def test_fragments_are_added_up():
    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=30_000, durations=[1000] * 15)))

    assert (clip.frames, clip.duration_seconds) == (45, 1.5)


def test_fragments_of_another_track_do_not_count():
    clip = read(
        fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=0, durations=[1000] * 9, track_id=7))
    )

    assert clip.frames == 30


def test_a_gap_of_hours_between_fragments_is_refused():
    message = refusal_of(
        fragmented(fragment(start=0, durations=[1000] * 30), fragment(start=10**9, durations=[1000]))
    )

    assert "dura más de 5 segundos" in message


def test_a_fragment_that_ends_after_the_file_is_refused():
    assert "incompleto" in refusal_of(fragmented(fragment(start=0, durations=[1000] * 30, sample_bytes=1000)))


def test_each_fragment_is_read_once_and_in_passing():
    reads = []

    class Watched(io.BytesIO):
        def read(self, count=-1):
            reads.append(self.tell())
            return super().read(count)

    data = recording(fragments=20, frames=3, fragment_bytes=5000)
    read_clip(Watched(data), size_bytes=len(data))

    assert reads == sorted(set(reads))


def test_a_minute_in_fragments_of_one_picture_or_sound_each_is_read():
    pictures = [fragment(start=each * 500, durations=[500], media=MDAT) for each in range(3600)]
    sounds = [fragment(start=each * 1024, durations=[1024], track_id=2) for each in range(2820)]

    assert read(fragmented(*pictures, *sounds)).duration_seconds == 60


def test_a_run_without_samples_counts_for_nothing_wherever_it_points():
    nowhere = full(b"trun", struct.pack(">Ii", 0, 1 << 30), flags=0x1)

    clip = read(fragmented(fragment(start=0, durations=[1000] * 30), moof(nowhere)))

    assert clip.frames == 30


def test_a_file_of_more_pieces_than_any_recording_has_is_refused():
    message = refusal_of(file_of(video(), media=MDAT + box(b"free") * 20_000))

    assert "demasiadas piezas pequeñas" in message


# --- what is refused --------------------------------------------------------------------------------------


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


def test_samples_past_the_end_of_the_file_are_refused():
    assert "incompleto" in refusal_of(file_of(video(offsets=[10**6])))


def test_a_file_without_its_index_is_refused():
    assert refusal_of(FTYP + MDAT) == "El video está incompleto: le falta el índice."


@pytest.mark.parametrize("tracks", [(), (video(handler=b"soun"),)], ids=["no track", "audio"])
def test_a_file_without_video_is_refused(tracks):
    assert refusal_of(file_of(*tracks)) == "El archivo no contiene video."


def test_audio_with_a_cover_is_refused():
    cover = video(entry=sample_entry(b"jpeg"))

    assert "imagen fija" in refusal_of(file_of(video(handler=b"soun"), cover))


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


@pytest.mark.parametrize(
    ("broken", "part"),
    [
        (video(deltas=((1, 150_001), (1, 1))), "dura más de 5 segundos"),
        (video(deltas=((1, 0xFFFFFFFF), (1, 1))), "dura más de 5 segundos"),
        (video(shifts=[(1, 10**9)]), "dura más de 5 segundos"),
        (video(deltas=((1000, 60),), sample_bytes=1), "más de 480 imágenes por segundo"),
        (video(deltas=((60, 0),)), "más de 480 imágenes por segundo"),
        (video(deltas=((MOST_SAMPLES + 1, 1000),), sample_bytes=0), "demasiado grande"),
        (video(count=1 << 31), "demasiado grande"),
        (video(edits=[(1, 0, 1)] * 101), "demasiado grande"),
        (video(edits=[(1000, 90_000, 1)]), "no contiene video"),
        (video(timescale=0), "dañado"),
        (video(count=59), "dañado"),
        (video(per_chunk=1), "dañado"),
        (video(per_chunk=0), "dañado"),
        (video(entry=sample_entry(b"avc1")), "dañado"),
        (video(entry=sample_entry(b"avc1", avcc())), "dañado"),
        (video(entry=sample_entry(b"avc1", avcc(b"\x67\x42"))), "dañado"),
        (video(deltas=()), "no contiene video"),
        (video() * 17, "demasiado grande"),
        (box(b"cmov", bytes(100)), "demasiado grande"),
        (box(b"free") * 1001, "demasiado grande"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_index_that_would_hurt_is_refused(broken, part):
    assert part in refusal_of(file_of(broken))


def test_two_indexes_are_refused():
    assert "dañado" in refusal_of(file_of(video()) + movie(video()))


def test_two_tables_where_one_belongs_are_refused():
    composition = file_of(video(shifts=[(60, 0)]))

    assert "dañado" in refusal_of(composition.replace(b"ctts", b"stts"))


def test_an_index_larger_than_we_read_is_refused_unread():
    huge = struct.pack(">I4s", MOST_INDEX_BYTES + 9, b"moov")

    class Unread(io.BytesIO):
        def read(self, count=-1):
            assert count <= 1024
            return super().read(count)

    with pytest.raises(UnreadableClip, match="demasiado grande"):
        read_clip(Unread(FTYP + huge + bytes(8)), size_bytes=len(FTYP) + MOST_INDEX_BYTES + 9)


def nested(depth):
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", 8 + len(data), b"trak") + data
    return data


def many_parameter_sets():
    unit = b"\x67" + bytes(3)
    return sample_entry(b"avc1", avcc(*[unit] * 31)) * 8


def with_large_tables(rows):
    """A track with as many rows in each of its tables as it has samples, and as many chunks."""
    return video(
        deltas=((1, 1000),) * rows,
        shifts=((1, 1000),) * rows,
        sizes=(1,) * rows,
        offsets=(3,) * rows,
        per_chunk=1,
    )


EMPTY_RUN = full(b"trun", struct.pack(">I", 0))
RUN_OF_ONE = full(b"trun", struct.pack(">I", 1))

HURTFUL = {
    "boxes": FTYP + box(b"free") * 1_000_000,
    "boxes in the index": file_of(box(b"free") * 1_000_000),
    "nesting": file_of(nested(20_000)),
    "tracks": file_of(*[box(b"trak", box(b"mdia", box(b"free") * 999))] * 16),
    "parameter sets": file_of(video(entry=many_parameter_sets())),
    "one table": file_of(video(deltas=((1, 1000),) * 80_000, sample_bytes=0)),
    "all tables": FTYP + MDAT + movie(with_large_tables(80_000), box(b"free", bytes(12 * 1024 * 1024))),
    "fragments": fragmented(*[fragment(start=0, durations=[])] * 900),
    "fragments without media": fragmented(moof(RUN_OF_ONE) * 19_990),
    "empty runs": fragmented(moof(EMPTY_RUN * 900, times=30) * 9),
    "runs of one sample": fragmented(moof(RUN_OF_ONE * 900, times=30) * 9),
    "boxes in fragments": fragmented(moof(box(b"free") * 900, times=30) * 19),
    "fragments of another track": fragmented(moof(track_id=7, times=900) * 120),
    "a run of many samples": fragmented(fragment(start=0, durations=[1000] * 79_000, sample_bytes=0)),
}


@pytest.mark.parametrize("data", HURTFUL.values(), ids=HURTFUL.keys())
def test_a_file_made_to_be_slow_is_done_at_once(data):
    started = time.process_time()
    with suppress(UnreadableClip):
        read(data)

    assert time.process_time() - started < 0.8


@pytest.mark.parametrize("name", ["all tables", "a run of many samples", "fragments without media"])
def test_a_look_takes_at_most_64_mb(name):
    tracemalloc.start()
    with suppress(UnreadableClip):
        read(HURTFUL[name])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 1024 * 1024


VALID = [
    file_of(video(handler=b"soun"), video(edits=[(2000, 0, 1)], shifts=[(60, 0)])),
    file_of(video(entry=sample_entry(b"hvc1", hvcc(X265_1918X1078)))),
    fragmented(fragment(start=0, durations=[1000] * 3)),
]


def read_or_refuse(data):
    with suppress(UnreadableClip):
        clip = read(data)
        assert clip.frames > 0
        assert clip.width * clip.height > 0
        assert clip.duration_seconds > 0


@given(st.binary(max_size=400))
@example(b"\x00\x00\x00\x01ftyp")
@example(b"\x00\x00\x00\x01ftyp" + b"\xff" * 8)
@settings(deadline=2000)
def test_any_bytes_are_read_or_refused(data):
    read_or_refuse(data)
    read_or_refuse(FTYP + data)
    read_or_refuse(FTYP + box(b"moov", data))


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=8), st.booleans()), max_size=6),
)
@settings(deadline=2000, max_examples=400)
def test_any_change_to_a_valid_file_is_read_or_refused(data, changes):
    # The index is where a change can do harm
    starts = data.index(b"moov") - 4
    for position, replacement, insert in changes:
        at = starts + position % (len(data) - starts) if len(data) > starts else 0
        data = data[:at] + replacement + data[at if insert else at + len(replacement) :]

    read_or_refuse(data)


@given(st.binary(max_size=60))
def test_any_bytes_as_a_parameter_set_give_a_size_or_a_value_error(data):
    for size in (sps.h264_size, sps.hevc_size):
        try:
            width, height = size(data)
        except ValueError:
            continue
        assert width > 0
        assert height > 0
