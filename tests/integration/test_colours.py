"""Colours of every coding come out as BT.709, measured in what the real ffmpeg makes."""

import numpy as np
import pytest

from anb_worker.colours import TONES, Coding, complete, to_bt709
from anb_worker.tone_mapping import HLG, PQ, lookup_table
from tests.media import FIRST_BODY_FRAME, Run, ffmpeg, picture, read

RED, SKIN = (190, 60, 50), (197, 140, 108)
BT709 = {"matrix": "bt709", "primaries": "bt709", "transfer": "bt709"}
BT2020 = {"matrix": "bt2020nc", "primaries": "bt2020", "transfer": "bt2020-10"}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def tagged(*, matrix, primaries, transfer):
    return f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}"


def patch(colour, size="64x64"):
    """A patch of one colour, which is R'G'B' of BT.709: ffmpeg's own source would code it as BT.601."""
    red, green, blue = colour
    rgb = tagged(matrix="gbr", primaries="bt709", transfer="bt709")
    return (
        *("-f", "lavfi", "-i", f"color=s={size}:r=10:d=0.3"),
        *("-vf", f"format=gbrp,geq=r={red}:g={green}:b={blue},{rgb}:range=pc"),
    )


def coded(arguments, *, matrix, primaries, transfer, pixels="yuv420p10le"):
    """The same patch, coded in another way by zimg, tags and all."""
    *words, filters = arguments
    narrow = f"zscale=m={matrix}:p={primaries}:t={transfer}:r=tv:npl=203,format={pixels}"
    return (*words, f"{filters},{narrow}")


def middle(arguments, folder):
    """The middle of the first frame that a graph gives, as R'G'B' of BT.709."""
    *words, filters = arguments
    whole = f"{filters},{tagged(**BT709)}:range=tv,zscale=m=gbr:r=pc,format=gbrp,format=rgb24"
    raw = ffmpeg(*words, whole, "-frames:v", 1, "-f", "rawvideo", "-", folder=folder).stdout
    return np.frombuffer(raw, np.uint8).reshape(64, 64, 3)[16:48, 16:48].astype(int).mean(axis=(0, 1))


def differences(found, wanted):
    return abs(np.asarray(found) - np.asarray(wanted)).max()


CODINGS = [
    *({**BT709, "matrix": each} for each in ("fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc")),
    *({**BT709, "matrix": each} for each in ("chroma-derived-nc", "chroma-derived-c")),
    *({**BT709, "transfer": each} for each in ("bt470m", "bt470bg", "linear", "log316", "iec61966-2-1")),
    *({**BT709, "transfer": each} for each in ("smpte170m", "smpte240m", "iec61966-2-4", "bt2020-12")),
    *({**BT709, "primaries": each} for each in ("bt470m", "bt470bg", "smpte170m", "smpte240m", "film")),
    *({**BT709, "primaries": each} for each in ("smpte428", "smpte431", "smpte432", "ebu3213")),
    BT2020,
    {**BT2020, "transfer": "bt709"},
    {**BT2020, "matrix": "bt2020c"},
    {**BT2020, "matrix": "bt709"},
    {"matrix": "bt470bg", "primaries": "bt470bg", "transfer": "bt470bg"},
    {"matrix": "smpte170m", "primaries": "smpte432", "transfer": "iec61966-2-1"},
]


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: "-".join(coding.values()))
def test_every_coding_of_sdr_gives_the_same_colours(tmp_path, coding):
    for colour in (RED, SKIN):
        source = coded(patch(colour), **coding)

        assert differences(middle(converted(source, Coding(**coding)), tmp_path), colour) <= 4


def converted(arguments, coding, **knowledge):
    *words, filters = arguments
    complete_coding = complete(coding, **{"is_rgb": False, "is_hd": True, **knowledge})
    return (*words, f"{filters},{to_bt709(complete_coding, 'scale=64:64')}")


GREYS = {
    "yuv420p": "lum=126:cb=128:cr=128",
    "yuv422p": "lum=126:cb=128:cr=128",
    "yuv444p10le": "lum=504:cb=512:cr=512",
    "gray": "lum=126",
    "gray10le": "lum=504",
    "gbrp": "r=128:g=128:b=128",
}


@pytest.mark.parametrize("pixels", GREYS)
@pytest.mark.parametrize("coding", [BT709, BT2020, {**BT2020, "transfer": PQ}], ids=["BT.709", "BT.2020", "PQ"])
def test_every_format_of_pixels_is_converted(tmp_path, pixels, coding):
    (tmp_path / TONES).write_text(lookup_table(PQ))
    words, is_rgb = patch((0, 0, 0))[:-1], pixels == "gbrp"
    tags = tagged(**{**coding, "matrix": "gbr" if is_rgb else coding["matrix"]})
    source = (*words, f"format={pixels},geq={GREYS[pixels]},{tags}:range={'pc' if is_rgb else 'tv'}")

    found = middle(converted(source, Coding(**coding), is_rgb=is_rgb), tmp_path)

    wanted = expected([from_pq(128 / 255)] * 3) if coding["transfer"] == PQ else 128
    assert differences(found, wanted) <= 4


def test_full_range_is_converted(tmp_path):
    source = (*patch((0, 0, 0))[:-1], f"format=yuv420p,geq=lum=200:cb=128:cr=128,{tagged(**BT709)}:range=pc")

    assert differences(middle(converted(source, Coding(is_full_range=True)), tmp_path), 200) <= 2


# --- HDR ----------------------------------------------------------------------------------------------------------

# BT.2408-7: a person's skin at 25 to 75 cd/m2 or so, white at 203, and lights above it
LIGHTS = {
    "skin": (74, 43, 28),
    "dark skin": (16, 8, 5),
    "grey": (26, 26, 26),
    "near white": (160, 160, 160),
    "white": (203, 203, 203),
    "a lamp": (600, 580, 500),
    "orange shirt": (120, 40, 12),
}


def pq(light):
    """BT.2100's inverse EOTF."""
    power = (np.asarray(light) / 10_000) ** (1305 / 8192)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def from_pq(signal):
    power = np.asarray(signal) ** (32 / 2523)
    return 10_000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)


def hlg(light):
    """BT.2100's inverse OOTF for 1,000 cd/m2, and its OETF."""
    light = np.asarray(light) / 1000
    luminance = light @ (0.2627, 0.6780, 0.0593)
    scene = light * luminance ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene, 1) - 0.28466892) + 0.55991073
    )


def expected(light):
    """R'G'B' of BT.709 by the formulas: the EETF of BT.2390 from 1,000 to 203 cd/m2, BT.2087's matrix, BT.1886."""
    light = np.asarray(light, float)
    brightest, peak, white = light.max(), pq(1000), pq(203) / pq(1000)
    knee, signal = 1.5 * white - 0.5, pq(light.max()) / peak
    t = (signal - knee) / (1 - knee)
    curve = np.polynomial.Polynomial
    spline = curve([1, 0, -3, 2])(t) * knee + curve([0, 1, -2, 1])(t) * (1 - knee) + curve([0, 0, 3, -2])(t) * white
    mapped = light * (from_pq(spline * peak) / brightest if signal > knee else 1)
    to_bt709_primaries = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    return 255 * np.clip(to_bt709_primaries @ mapped / 203, 0, 1) ** (1 / 2.4)


def hdr_patch(transfer, light, *, matrix="bt2020nc"):
    """A patch of light in cd/m2, of BT.2020's primaries, coded in PQ or HLG by the standards' formulas."""
    red, green, blue = (round(65535 * value) for value in {PQ: pq, HLG: hlg}[transfer](light))
    rgb = tagged(matrix="gbr", primaries="bt2020", transfer=transfer)
    return (
        *("-f", "lavfi", "-i", "color=s=64x64:r=10:d=0.3"),
        "-vf",
        f"format=gbrp16le,geq=r={red}:g={green}:b={blue},{rgb}:range=pc,zscale=m={matrix}:r=tv,format=yuv420p10le",
    )


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_mapped_by_the_curve_of_bt2390(tmp_path, transfer, light):
    (tmp_path / TONES).write_text(lookup_table(transfer))

    found = middle(converted(hdr_patch(transfer, light), Coding(**{**BT2020, "transfer": transfer})), tmp_path)

    assert differences(found, expected(light)) <= 5


def test_white_and_skin_of_hdr_keep_their_brightness():
    assert expected(LIGHTS["white"]).min() == pytest.approx(0.905 * 255, rel=0.01)
    assert expected(LIGHTS["grey"]).max() == pytest.approx(255 * (26 / 203) ** (1 / 2.4), rel=0.01)


UNSAID = [
    (matrix, primaries, transfer)
    for transfer in (PQ, HLG)
    for matrix in ("bt2020nc", "unknown", "reserved")
    for primaries in ("bt2020", "unknown", "reserved")
]


@pytest.mark.parametrize(("matrix", "primaries", "transfer"), UNSAID)
def test_hdr_without_a_matrix_or_primaries_is_bt2020(matrix, primaries, transfer):
    coding = Coding(matrix=matrix, primaries=primaries, transfer=transfer)

    assert complete(coding, is_rgb=False, is_hd=True) == Coding(**{**BT2020, "transfer": transfer})


@pytest.mark.parametrize(
    ("said", "is_hd", "meant"),
    [
        ({}, True, {}),
        ({}, False, {"matrix": "smpte170m"}),
        ({"matrix": "smpte170m"}, True, {"matrix": "smpte170m"}),
        ({"matrix": "gbr"}, True, {}),
        ({"primaries": "bt2020"}, True, {"matrix": "bt2020nc", "primaries": "bt2020"}),
        ({"transfer": "bt2020-10"}, True, {"matrix": "bt2020nc", "primaries": "bt2020"}),
        ({"matrix": "bt2020nc"}, True, {"matrix": "bt2020nc", "primaries": "bt2020"}),
        ({"primaries": "smpte432"}, True, {"primaries": "smpte432"}),
        ({"transfer": "iec61966-2-1"}, True, {"transfer": "iec61966-2-1"}),
        ({"transfer": "smpte428"}, True, {}),
        ({"transfer": "bt1361e"}, True, {}),
        ({"transfer": HLG, "primaries": "bt709"}, True, {"transfer": HLG}),
        ({"matrix": "ictcp"}, True, {"matrix": "ictcp", "primaries": "bt2020", "transfer": PQ}),
        ({**BT709, "matrix": "ictcp"}, True, {"matrix": "ictcp", "primaries": "bt2020", "transfer": PQ}),
        ({"matrix": "chroma-derived-c", "primaries": "smpte428"}, True, {"primaries": "smpte428"}),
        (
            {"matrix": "bt2020c", "transfer": HLG},
            True,
            {"matrix": "chroma-derived-c", "primaries": "bt2020", "transfer": HLG},
        ),
    ],
)
def test_what_a_clip_does_not_say_about_its_colours_is_guessed(said, is_hd, meant):
    unknown = dict.fromkeys(("matrix", "primaries", "transfer"), "unknown")

    assert complete(Coding(**{**unknown, **said}), is_rgb=False, is_hd=is_hd) == Coding(**meant)


@pytest.mark.parametrize("matrix", ["ictcp", "bt2020c", "chroma-derived-nc", "bt2020nc"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_every_matrix_of_hdr_gives_the_same_colours(tmp_path, transfer, matrix):
    (tmp_path / TONES).write_text(lookup_table(transfer))
    coding = complete(Coding(**{**BT2020, "matrix": matrix, "transfer": transfer}), is_rgb=False, is_hd=True)
    source = hdr_patch(transfer, LIGHTS["skin"], matrix=coding.matrix)

    assert differences(middle(converted(source, coding), tmp_path), expected(LIGHTS["skin"])) <= 5


# --- whole files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "bits", "wanted"),
    [
        (
            hdr_patch(HLG, LIGHTS["skin"]),
            "colour_primaries=9:transfer_characteristics=18:matrix_coefficients=2",
            None,
        ),
        (hdr_patch(PQ, LIGHTS["skin"]), "colour_primaries=2:transfer_characteristics=16:matrix_coefficients=2", None),
        (coded(patch(RED), **BT2020), "colour_primaries=9:transfer_characteristics=14:matrix_coefficients=9", RED),
        (
            coded(patch(RED), **{**BT709, "matrix": "ycgco"}),
            "colour_primaries=1:transfer_characteristics=1:matrix_coefficients=8",
            RED,
        ),
        (
            coded(patch(RED), **{**BT709, "transfer": "log316"}),
            "colour_primaries=1:transfer_characteristics=10:matrix_coefficients=1",
            RED,
        ),
    ],
    ids=["HLG without a matrix", "PQ without matrix and primaries", "BT.2020 in SDR", "YCgCo", "logarithmic"],
)
def test_a_file_is_processed_in_the_colours_that_its_stream_says(run, tmp_path, source, bits, wanted):
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4", "-pix_fmt", "yuv420p10le")
    tags = f"h264_metadata=video_full_range_flag=0:{bits}"
    ffmpeg(*source, *encoder, "-bsf:v", tags, tmp_path / "in.mp4")

    run(tmp_path / "in.mp4")

    found = picture(run.output, FIRST_BODY_FRAME + 3)[300:400, 600:700].mean(axis=(0, 1))
    assert differences(found, wanted or expected(LIGHTS["skin"])) <= 5


def test_hlg_may_say_so_in_a_message_of_the_stream_alone(run, tmp_path):
    said = "colorprim=9:transfer=14:colormatrix=9:atc-sei=18"
    encoder = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")
    parameters = ("-x265-params", f"log-level=error:crf=4:{said}")
    ffmpeg(*hdr_patch(HLG, LIGHTS["skin"]), *encoder, *parameters, tmp_path / "in.mp4")
    assert read(tmp_path / "in.mp4").colours.transfer == 14

    run(tmp_path / "in.mp4")

    found = picture(run.output, FIRST_BODY_FRAME + 3)[300:400, 600:700].mean(axis=(0, 1))
    assert differences(found, expected(LIGHTS["skin"])) <= 5
