"""What scenario 2 runs: cells, how long their runs are, and when videos arrive in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

SATURATION, SUSTAINED = "saturation", "sustained"
RUNS = (SATURATION, SUSTAINED)
LARGEST_BURST, WITHIN_SECONDS = 40, 600  # what the fleet of workers is promised to do: docs/scaling.md


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """How long the runs are, and how much is sent in them: loads are shares of what the node can do."""

    step_seconds: int
    steps: tuple[float, ...]
    sustained_seconds: int
    sustained_load: float
    warm_up_videos: int

    def loads(self, run: str) -> list[tuple[float, float]]:
        """Return the steps of a run: seconds, and the load meanwhile."""
        if run == SATURATION:
            return [(self.step_seconds, load) for load in self.steps]
        return [(self.sustained_seconds, self.sustained_load)]

    def to_json(self) -> dict[str, Any]:
        """Return it as raw data keep it."""
        return {**vars(self), "steps": list(self.steps)}


FULL = Lengths(
    step_seconds=60, steps=(0.5, 0.9, 1.3, 1.7), sustained_seconds=240, sustained_load=0.8, warm_up_videos=4
)
SHORT = Lengths(step_seconds=8, steps=(0.5, 1.6), sustained_seconds=12, sustained_load=0.7, warm_up_videos=2)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Videos of one size, in megabytes, and so many worker processes on one machine."""

    megabytes: int
    processes: int

    @property
    def name(self) -> str:
        """How its raw data and its results are called."""
        return f"{self.megabytes}mb-{self.processes}p"

    def file(self, run: str) -> str:
        """Return the name of the raw data of one of its runs."""
        return f"{self.name}-{run}.json.gz"


SIZES_MB, PROCESSES = (50, 100), (1, 2, 4)
CELLS = tuple(Cell(megabytes=size, processes=count) for size, count in product(SIZES_MB, PROCESSES))
SHORT_CELLS = (Cell(megabytes=2, processes=2),)


def arrivals(loads: Sequence[tuple[float, float]], *, videos_per_minute: float) -> Iterator[float]:
    """Yield the seconds at which videos arrive, evenly within each step; a load of 1 is so many a minute."""
    begun = due = expected = 0.0
    for seconds, load in loads:
        rate = load * videos_per_minute / 60
        while due < expected + seconds * rate:
            yield begun + (due - expected) / rate
            due += 1
        begun, expected = begun + seconds, expected + seconds * rate
