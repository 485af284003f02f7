"""How the colours of a picture are coded, in the numbers of ITU-T H.273, and which of these ways we can convert.

An upload is refused for `unconvertible` colours: all others the worker's filters turn into BT.709.
"""

from dataclasses import dataclass
from typing import Final

UNSPECIFIED: Final = 2
PQ: Final = 16
HLG: Final = 18

PRIMARIES: Final = {
    1: "BT.709",
    4: "BT.470M",
    5: "BT.470BG",
    6: "SMPTE 170M",
    7: "SMPTE 240M",
    8: "film",
    9: "BT.2020",
    10: "SMPTE 428",
    11: "SMPTE 431",
    12: "SMPTE 432",
    22: "EBU 3213",
}
TRANSFERS: Final = {
    1: "BT.709",
    4: "BT.470M",
    5: "BT.470BG",
    6: "SMPTE 170M",
    7: "SMPTE 240M",
    8: "lineal",
    9: "logarítmica",
    10: "logarítmica",
    11: "xvYCC",
    12: "BT.1361",
    13: "sRGB",
    14: "BT.2020",
    15: "BT.2020",
    PQ: "PQ",
    17: "SMPTE 428",
    HLG: "HLG",
}
MATRICES: Final = {
    0: "RGB",
    1: "BT.709",
    4: "FCC",
    5: "BT.470BG",
    6: "SMPTE 170M",
    7: "SMPTE 240M",
    8: "YCgCo",
    9: "BT.2020",
    10: "BT.2020 de luminancia constante",
    11: "SMPTE 2085",
    12: "derivada",
    13: "derivada",
    14: "ICtCp",
    15: "IPT-PQ-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}

_CONVERTIBLE_PRIMARIES: Final = frozenset(PRIMARIES)
_CONVERTIBLE_TRANSFERS: Final = frozenset(TRANSFERS) - {17}
_CONVERTIBLE_MATRICES: Final = frozenset(MATRICES) - {11, 15, 16, 17}


@dataclass(frozen=True, kw_only=True)
class ColourDescription:
    """Code points of ITU-T H.273, which ffmpeg uses too; UNSPECIFIED where nobody says.

    `full_range` is None where nobody says.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    full_range: bool | None = None

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (PQ, HLG)


NOTHING_SAID: Final = ColourDescription()


def colour_description(*, primaries: int, transfer: int, matrix: int, full_range: bool | None) -> ColourDescription:
    """What those numbers mean: one that the standard keeps for later says nothing, to players as to us."""
    return ColourDescription(
        primaries=primaries if primaries in PRIMARIES else UNSPECIFIED,
        transfer=transfer if transfer in TRANSFERS else UNSPECIFIED,
        matrix=matrix if matrix in MATRICES else UNSPECIFIED,
        full_range=full_range,
    )


def completed(stream: ColourDescription, container: ColourDescription) -> ColourDescription:
    """What the stream says, and the container where the stream says nothing: decoders believe the stream."""
    return ColourDescription(
        primaries=container.primaries if stream.primaries == UNSPECIFIED else stream.primaries,
        transfer=container.transfer if stream.transfer == UNSPECIFIED else stream.transfer,
        matrix=container.matrix if stream.matrix == UNSPECIFIED else stream.matrix,
        full_range=container.full_range if stream.full_range is None else stream.full_range,
    )


def unconvertible(colours: ColourDescription) -> str | None:
    """Why our filters cannot convert these colours to BT.709, as a sentence for the sender; None if they can."""
    for what, code, convertible, names in (
        ("la matriz", colours.matrix, _CONVERTIBLE_MATRICES, MATRICES),
        ("la transferencia", colours.transfer, _CONVERTIBLE_TRANSFERS, TRANSFERS),
        ("los primarios", colours.primaries, _CONVERTIBLE_PRIMARIES, PRIMARIES),
    ):
        if code != UNSPECIFIED and code not in convertible:
            return (
                f"El video codifica sus colores de una forma que no se puede convertir ({what}: {names[code]}); "
                "expórtalo en BT.709 o en HDR con HLG o PQ."
            )
    return None
