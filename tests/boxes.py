"""MP4 files built box by box, so that each test can break the one thing that it is about."""

import io
import re
import struct
from collections.abc import Collection, Sequence

import pytest

from anb.mp4 import Clip, UnreadableClip, read_clip

QUARTER_TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

# As x264 and x265 wrote them, for pictures of the size in the name
X264_1920X1080 = bytes.fromhex("6742c028da01e0089f970110000003001000000303c0f1832a")
X264_720X576_FIELDS = bytes.fromhex("674d401ef405a126c044000003000400000300c87c50aa80")
X264_1278X718_444 = bytes.fromhex("67f4001f919b280a00b7dde022000003000200000300641e30632c")
X265_1918X1078 = bytes.fromhex("420101016000000300900000030000030078a003c0801107536595952930bc05a02000007d20000ea6")


def box(kind: bytes, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def table(kind: bytes, row: str, rows: Collection[Sequence[int]]) -> bytes:
    return full(kind, struct.pack(">I", len(rows)), *(struct.pack(row, *each) for each in rows))


def exp_golomb(*values: int) -> str:
    return "".join(f"{value + 1:b}".zfill(2 * (value + 1).bit_length() - 1) for value in values)


def usability(
    *, pixel_shape: tuple[int, int] | None = None, colours: tuple[int, int, int] | None = None, full_range: int = 0
) -> str:
    """The bits with which the usability information of a parameter set begins; colours as in a colr box."""
    shape = f"1{255:08b}{pixel_shape[0]:016b}{pixel_shape[1]:016b}" if pixel_shape else "0"
    signal = f"1101{full_range}1" + "".join(f"{code:08b}" for code in colours) if colours else "0"
    return shape + "0" + signal


def high_avc_sps(*, chroma_format: int = 1, separate_planes: bool = False, depths: tuple[int, int] = (8, 8)) -> bytes:
    """An SPS of 1920x1088 of the profile that has every format of pixels."""
    planes = f"{separate_planes:b}" if chroma_format == 3 else ""
    bits = exp_golomb(0, chroma_format) + planes + exp_golomb(*(depth - 8 for depth in depths)) + "00"
    bits += exp_golomb(0, 2, 1) + "0" + exp_golomb(119, 67) + "1" + "1" + "0" + "0" + "1"
    bits += "0" * (-len(bits) % 8)
    return b"\x67" + bytes((244, 0, 40)) + int(bits, 2).to_bytes(len(bits) // 8)


def avc_sps(width: int, height: int, vui: str = "") -> bytes:
    """A Baseline SPS for a picture of even sides, cropped from whole macroblocks."""
    columns, rows = -(-width // 16), -(-height // 16)
    crop = exp_golomb(0, (columns * 16 - width) // 2, 0, (rows * 16 - height) // 2)
    bits = (
        exp_golomb(0, 0, 2, 1)
        + "0"
        + exp_golomb(columns - 1, rows - 1)
        + "11"
        + "1"
        + crop
        + ("1" + vui + "0" * 6 if vui else "0")
        + "1"
    )
    bits += "0" * (-len(bits) % 8)
    payload = bytes((66, 0, 40)) + int(bits, 2).to_bytes(len(bits) // 8)
    # Whatever follows two zeros and could be taken for a start code is kept from it by a 3
    return b"\x67" + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


def hevc_sps_with_every_tool(vui: str, *, depths: tuple[int, int] = (8, 8)) -> bytes:
    """An HEVC SPS of 1920x1080 with everything before the usability information that may stand there."""
    lists = ("0" + exp_golomb(0)) * 3 + ("1" + exp_golomb(*[3] * 16)) * 3
    lists += ("1" + exp_golomb(*[1] * 64)) * 6 + ("1" + exp_golomb(2, *[1] * 64)) * 8
    told = exp_golomb(1, 2) + (exp_golomb(0) + "1") * 3
    # By its difference to the one before, four pictures: one kept, one dropped, two kept
    by_difference = "1" + "0" + exp_golomb(5) + "1" + "00" + "01" + "1"
    bits = "0000" + "000" + "1" + "0" * 96 + exp_golomb(0, 1, 1920, 1080) + "0"
    bits += exp_golomb(*(depth - 8 for depth in depths), 4) + "1" + exp_golomb(4, 2, 0) + exp_golomb(0, 3, 0, 3, 1, 1)
    bits += "1" + "1" + lists + "11" + "1" + "01110111" + exp_golomb(0, 2) + "1"
    bits += exp_golomb(3) + told + by_difference + "0" + told + "1" + exp_golomb(2) + ("00000001" + "1") * 2 + "11"
    bits += "1" + vui + "1"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8)
    return b"\x42\x01" + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


def avcc(*parameter_sets: bytes) -> bytes:
    units = b"".join(struct.pack(">H", len(unit)) + unit for unit in parameter_sets)
    return box(b"avcC", bytes((1, 66, 0, 40, 0xFF, 0xE0 | len(parameter_sets))), units, b"\x00")


def hvcc(*parameter_sets: bytes) -> bytes:
    units = b"".join(struct.pack(">H", len(unit)) + unit for unit in parameter_sets)
    return box(b"hvcC", bytes(22), struct.pack(">BBH", 1, 33, len(parameter_sets)), units)


def colr(*codes: int, full_range: int = 0) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", *codes, full_range << 7))


def clap(width: float, height: float) -> bytes:
    """A clean aperture in the middle, in tenths of pixels."""
    return box(b"clap", struct.pack(">8I", round(width * 10), 10, round(height * 10), 10, 0, 1, 0, 1))


def pasp(across: int, down: int) -> bytes:
    return box(b"pasp", struct.pack(">II", across, down))


def sample_entry(kind: bytes, *boxes: bytes, width: int = 0, height: int = 0) -> bytes:
    return box(kind, bytes(24), struct.pack(">HH", width, height), bytes(50), *boxes)


def video(
    *,
    entry: bytes | None = None,
    descriptions: int = 1,
    size: tuple[int, int] = (1920, 1080),
    handler: bytes = b"vide",
    timescale: int = 30_000,
    deltas: Collection[tuple[int, int]] = ((60, 1000),),
    sample_bytes: int = 10,
    sizes: Collection[int] = (),
    sizes_table: bytes = b"",
    count: int | None = None,
    offsets: Collection[int] = (48,),
    per_chunk: int | None = None,
    chunks: Collection[tuple[int, int]] = (),
    matrix: Collection[int] = UPRIGHT,
    presentation: tuple[int, int] = (0, 0),
    edits: Collection[tuple[int, int, int]] = (),
    shifts: Collection[tuple[int, int]] = (),
    track_id: int = 1,
) -> bytes:
    count = sum(number for number, _ in deltas) if count is None else count
    chunks = chunks or [(1, count if per_chunk is None else per_chunk)]
    entry = entry or sample_entry(b"avc1", avcc(avc_sps(*size)))
    tables = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", descriptions), entry * descriptions),
        table(b"stts", ">II", deltas),
        table(b"ctts", ">Ii", shifts) if shifts else b"",
        sizes_table or full(b"stsz", struct.pack(f">II{len(sizes)}I", 0 if sizes else sample_bytes, count, *sizes)),
        table(b"stsc", ">III", [(first, number, 1) for first, number in chunks] if count else []),
        table(b"stco", ">I", [(offset,) for offset in offsets] if count else []),
    )
    return box(
        b"trak",
        full(
            b"tkhd",
            bytes(8),
            struct.pack(">I", track_id),
            bytes(24),
            struct.pack(">9i", *matrix),
            struct.pack(">II", *(side << 16 for side in presentation)),
        ),
        box(b"edts", table(b"elst", ">IiI", edits)) if edits else b"",
        box(
            b"mdia",
            full(b"mdhd", bytes(8), struct.pack(">II", timescale, 0), bytes(4)),
            full(b"hdlr", bytes(4), handler, bytes(13)),
            box(b"minf", tables),
        ),
    )


def movie(*tracks: bytes, matrix: Collection[int] = UPRIGHT) -> bytes:
    header = (struct.pack(">II", 1000, 0), bytes(16), struct.pack(">9i", *matrix), bytes(28))
    return box(b"moov", full(b"mvhd", bytes(8), *header), *tracks)


FTYP = box(b"ftyp", b"isom", bytes(4), b"isomavc1")
MDAT = box(b"mdat", bytes(3000))
PICTURES = box(b"mdat", b"\x65" * 3000)


def file_of(*tracks: bytes, ftyp: bytes = FTYP, media: bytes = MDAT) -> bytes:
    return ftyp + media + movie(*tracks)


def fragment(
    *, start: int, durations: Collection[int], sample_bytes: int = 10, track_id: int = 1, media: bytes = MDAT
) -> bytes:
    def index(offset: int) -> bytes:
        rows = struct.pack(f">Ii{len(durations)}I", len(durations), offset, *durations)
        decode_time = full(b"tfdt", struct.pack(">I", start))
        return moof(decode_time, full(b"trun", rows, flags=0x101), sample_bytes=sample_bytes, track_id=track_id)

    return index(len(index(0)) + 8) + media


def moof(*boxes: bytes, duration: int = 1000, sample_bytes: int = 10, track_id: int = 1, times: int = 1) -> bytes:
    """The index of a fragment that has the same track `times` over."""
    header = full(b"tfhd", struct.pack(">III", track_id, duration, sample_bytes), flags=0x20018)
    return box(b"moof", box(b"traf", header, *boxes) * times)


def fragmented(*fragments: bytes, edits: Collection[tuple[int, int, int]] = ()) -> bytes:
    empty = video(deltas=(), offsets=(), edits=edits)
    extends = box(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 0, 0, 0)))
    return FTYP + movie(empty, extends) + b"".join(fragments)


def recording(*, fragments: int, frames: int, fragment_bytes: int) -> bytes:
    """A recording of 30 pictures a second, as browsers write it: the index first, without samples."""
    durations = [1000] * frames
    media = box(b"mdat", bytes(fragment_bytes - len(fragment(start=0, durations=durations, media=b"")) - 8))
    return fragmented(
        *(fragment(start=each * frames * 1000, durations=durations, media=media) for each in range(fragments))
    )


def read(data: bytes) -> Clip:
    return read_clip(io.BytesIO(data), size_bytes=len(data))


def refusal_of(data: bytes) -> str:
    with pytest.raises(UnreadableClip) as refusal:
        read(data)
    return refusal.value.message
