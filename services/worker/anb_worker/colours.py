"""How a source codes its colours, in ffmpeg's names for ITU-T H.273, and the filters that make BT.709 of them."""

import re
from dataclasses import dataclass, replace
from typing import Final

from anb_worker.tone_mapping import HLG, PQ

TONES: Final = "tones.cube"  # the table that HDR needs, in the folder in which ffmpeg runs

_REPORT: Final = re.compile(r"color_range:(\S+) color_space:(\S+) color_primaries:(\S+) color_trc:(\S+)")
_PIXEL_FORMAT: Final = re.compile(r" fmt:(\w+) ")

# Displays show all of these alike, whatever the cameras' curves are (BT.1886)
_SDR_TRANSFERS: Final = frozenset(
    {"bt709", "smpte170m", "smpte240m", "bt2020-10", "bt2020-12", "iec61966-2-4", "bt1361e"}
)
_OTHER_TRANSFERS: Final = frozenset({"bt470m", "bt470bg", "linear", "log100", "log316", "iec61966-2-1", PQ, HLG})
_PRIMARIES: Final = frozenset(
    {"bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "film", "bt2020"}
    | {"smpte428", "smpte431", "smpte432", "ebu3213"}
)
_MATRICES: Final = frozenset(
    {"gbr", "bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc", "bt2020c"}
    | {"chroma-derived-nc", "chroma-derived-c", "ictcp"}
)
_DERIVED: Final = frozenset({"chroma-derived-nc", "chroma-derived-c"})
_WIDE: Final = frozenset({"bt2020nc", "bt2020c", "ictcp", "bt2020-10", "bt2020-12", PQ, HLG})


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How colours are coded; by default as we code them."""

    matrix: str = "bt709"
    primaries: str = "bt709"
    transfer: str = "bt709"
    is_full_range: bool = False

    @property
    def is_hdr(self) -> bool:
        """Whether the tones have to be mapped."""
        return self.transfer in (PQ, HLG)


def read_coding(report: str, *, is_hd: bool) -> Coding:
    """Return how the frame is coded that ffmpeg's showinfo reported, with a guess for what it does not say."""
    tags = _REPORT.search(report)
    pixel_format = _PIXEL_FORMAT.search(report)
    is_rgb = pixel_format is not None and pixel_format[1].startswith("gbr")
    span, matrix, primaries, transfer = tags.groups() if tags else ("unknown",) * 4
    coding = Coding(matrix=matrix, primaries=primaries, transfer=transfer, is_full_range=span == "pc")
    return complete(coding, is_rgb=is_rgb, is_hd=is_hd)


def complete(coding: Coding, *, is_rgb: bool, is_hd: bool) -> Coding:
    """Return the coding with a guess, as players make it, for each name that says nothing or that cannot be."""
    matrix, primaries, transfer = coding.matrix, coding.primaries, coding.transfer
    is_wide = primaries == "bt2020" or (primaries not in _PRIMARIES and bool({matrix, transfer} & _WIDE))
    if matrix == "ictcp":  # it is defined for BT.2020 and these two alone
        primaries = "bt2020"
        transfer = transfer if transfer in (PQ, HLG) else PQ
    if primaries not in _PRIMARIES:
        primaries = "bt2020" if is_wide else "bt709"
    if matrix in _DERIVED and primaries == "smpte428":  # nothing can be derived from X, Y and Z
        matrix = "unknown"
    if is_rgb:
        matrix = "gbr"
    elif matrix == "gbr" or matrix not in _MATRICES:
        matrix = "bt2020nc" if is_wide else "bt709" if is_hd else "smpte170m"
    elif matrix == "bt2020c" and transfer in _OTHER_TRANSFERS:
        matrix, primaries = "chroma-derived-c", "bt2020"  # the same by another name, which zscale takes
    if transfer not in _OTHER_TRANSFERS:
        transfer = "bt709"
    return replace(coding, matrix=matrix, primaries=primaries, transfer=transfer)


def to_bt709(coding: Coding, scaling: str) -> str:
    """Return a chain of filters that applies `scaling`, a scale filter, and leaves 8-bit BT.709 in video range.

    HDR needs TONES in the folder.
    """
    # The scaler converts fewer codings than zscale, less exactly and at a higher price: it is not to see them
    untouched = "gbr" if coding.matrix == "gbr" else "bt709"
    scaled = f"setparams=colorspace={untouched}:color_primaries=bt709:color_trc=bt709,{scaling}"
    if coding == Coding():
        # Said once more, or the filters behind it would agree with the scaler on something else
        return f"{scaled}:out_color_matrix=bt709:out_range=tv,format=yuv420p"
    return (
        f"{scaled},"
        f"setparams=colorspace={coding.matrix}:color_primaries={coding.primaries}:color_trc={coding.transfer},"
        f"{_TONES_TO_SDR if coding.is_hdr else ''}"
        "zscale=p=bt709:t=bt709:m=bt709:r=tv:d=ordered,format=yuv420p"
    )


_TONES_TO_SDR: Final = f"zscale=p=bt2020:m=gbr:r=pc,format=gbrp16le,lut3d={TONES},setparams=color_trc=bt709,"
