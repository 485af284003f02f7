"""Chooses the picture that stands for a clip: one that moves, and is neither black nor faded."""

from collections.abc import Sequence
from math import sqrt
from typing import Final

STEP_FRAMES: Final = 30  # of the body, from one candidate to the next: a second
LOOKS_WIDTH, LOOKS_HEIGHT = 64, 36  # of a candidate in grey, without watermark and bars

_USUAL: Final = 1  # the candidate after a second: before it, hands still shake and fingers cover lenses
_CLEAR: Final = 0.8  # of the largest contrast; a fade takes it down in proportion
_CHANGE: Final = 6  # of 255: more than an encoder does to a picture that stands still
_MIN_CHANGED: Final = 4  # places of a look: a ball far away


def choose(looks: bytes) -> int:
    """Return the number of the best candidate; `looks` are theirs, one after the other, at least one."""
    size = LOOKS_WIDTH * LOOKS_HEIGHT
    candidates = [looks[at : at + size] for at in range(0, len(looks), size)]
    contrasts = [_contrast(look) for look in candidates]
    eligible = [number for number in range(len(candidates)) if _moves(candidates, number)] or range(len(candidates))
    enough = _CLEAR * max(contrasts[number] for number in eligible)
    clear = [number for number in eligible if contrasts[number] >= enough]
    return min(clear, key=lambda number: (number < _USUAL, number))


def _contrast(look: bytes) -> float:
    """The standard deviation."""
    mean = sum(look) / len(look)
    return sqrt(max(0.0, sum(value * value for value in look) / len(look) - mean * mean))


def _moves(candidates: Sequence[bytes], number: int) -> bool:
    """Whether it is another picture than those before and after it."""
    neighbours = [*candidates[max(number - 1, 0) : number], *candidates[number + 1 : number + 2]]
    return all(_differ(candidates[number], neighbour) for neighbour in neighbours)


def _differ(one: bytes, other: bytes) -> bool:
    return sum(abs(a - b) > _CHANGE for a, b in zip(one, other, strict=True)) >= _MIN_CHANGED
