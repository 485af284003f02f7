"""Brings HDR into the range of SDR, with the curve by which ITU-R BT.2390 fits a picture to a darker display.

It is the EETF of BT.2390-11 (5.4.1), from 1,000 cd/m2, at which HLG is defined and telephones record, to 203, which
is white in HDR (BT.2408-7, table 1) and becomes the white of SDR. So a picture looks as it does in HDR up to
93 cd/m2, below which skin lies, and only what is brighter is pressed together. The curve goes by the largest
component, which keeps hues. ffmpeg's own curves know no such white: they leave it grey (mobius, hable, reinhard), or
cut off the lights above it (clip).
"""

import math
from functools import cache
from typing import Final

PQ, HLG = "smpte2084", "arib-std-b67"  # the transfers, as ffmpeg calls them
EDGE_POINTS: Final = 33  # of the cube: within a step or two of 255 of the formulas

Light = tuple[float, float, float]  # red, green and blue in cd/m2

_SOURCE_PEAK, _WHITE = 1_000.0, 203.0  # cd/m2
# BT.2100-2, table 4
_PQ_PEAK: Final = 10_000.0  # cd/m2
_M1, _M2, _C1, _C2, _C3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
# BT.2100-2, table 5
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_LUMINANCE: Final = (0.2627, 0.6780, 0.0593)
_SYSTEM_GAMMA: Final = 1.2  # of a display of 1,000 cd/m2
_SDR_GAMMA: Final = 2.4  # BT.1886


@cache
def lookup_table(transfer: str) -> str:
    """Return a cube for ffmpeg's lut3d, from R'G'B' in PQ or HLG to R'G'B' of SDR, both with BT.2020's primaries."""
    to_light = {PQ: _pq_light, HLG: _hlg_light}[transfer]
    steps = [number / (EDGE_POINTS - 1) for number in range(EDGE_POINTS)]
    rows = (_sdr(to_light(red, green, blue)) for blue in steps for green in steps for red in steps)
    return "\n".join([f"LUT_3D_SIZE {EDGE_POINTS}", *("{:.5f} {:.5f} {:.5f}".format(*row) for row in rows), ""])


def _sdr(light: Light) -> Light:
    brightest = max(light)
    share = _fitted(brightest) / brightest / _WHITE if brightest else 0.0
    red, green, blue = (min(component * share, 1.0) ** (1 / _SDR_GAMMA) for component in light)
    return red, green, blue


@cache
def _fitted(light: float) -> float:
    """The EETF, both sides in cd/m2, without its lift of blacks."""
    peak = _to_pq(_SOURCE_PEAK)
    target = _to_pq(_WHITE) / peak
    signal = min(_to_pq(light) / peak, 1.0)
    knee = 1.5 * target - 0.5
    if signal < knee:
        return light
    t = (signal - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
    return _from_pq(spline * peak)


def _pq_light(*signal: float) -> Light:
    red, green, blue = map(_from_pq, signal)
    return red, green, blue


def _hlg_light(*signal: float) -> Light:
    """What a display of 1,000 cd/m2 makes of it."""
    scene = [_from_hlg(component) for component in signal]
    luminance = sum(weight * component for weight, component in zip(_LUMINANCE, scene, strict=True))
    gain = _SOURCE_PEAK * luminance ** (_SYSTEM_GAMMA - 1)
    red, green, blue = (gain * component for component in scene)
    return red, green, blue


@cache
def _from_hlg(signal: float) -> float:
    return signal**2 / 3 if signal <= 0.5 else (math.exp((signal - _C) / _A) + _B) / 12


@cache
def _from_pq(signal: float) -> float:
    power = signal ** (1 / _M2)
    return float(_PQ_PEAK * (max(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1))


def _to_pq(light: float) -> float:
    power = (light / _PQ_PEAK) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)
