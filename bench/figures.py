"""What many measurements come to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], number: int) -> float:
    """Return the value that so many per cent stay below."""
    return statistics.quantiles(values, n=100)[number - 1]


@dataclass(frozen=True)
class Rounds:
    """What two sides needed that took turns, so that whatever slows the machine down slows both."""

    pairs: Sequence[tuple[float, float]]

    @property
    def ratios(self) -> list[float]:
        """Each round's ratio of the one to the other."""
        return [one / other for one, other in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: single rounds may be disturbed."""
        return statistics.median(self.ratios)

    @property
    def medians(self) -> tuple[float, float]:
        """Each side's own median, for scale."""
        one, other = (statistics.median(side) for side in zip(*self.pairs, strict=True))
        return one, other
