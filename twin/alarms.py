"""When an alarm goes off: periods, data points to alarm, missing data."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from twin.expressions import Point


class State(StrEnum):
    """An alarm's state."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """What a period without data counts as."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What is looked at: metric math over metrics, each by the id that the expression calls it."""

    expression: str
    metrics: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Goes off when `datapoints` of the last `periods` minutes are beyond the threshold; `policy` then acts."""

    name: str
    policy: str
    measure: Measure
    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: Missing = Missing.MISSING

    def breaches(self, value: float) -> bool:
        """Whether a value is beyond the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)

    def evaluate(self, points: Sequence[Point], state: State) -> State:
        """Return the state after one look at the minutes that were fetched, the newest last.

        With as many real points as periods, the newest of those decide, and what counts for missing ones does not
        matter. With fewer, as few are filled in as are needed; `missing` and `ignore` fill in nothing. Without any,
        the setting alone decides.
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
        """
        real = [self.breaches(point) for point in points if point is not None][-self.periods :]
        if not real:
            return self._without_data(state)
        filled = self.periods - len(real) if self.missing is Missing.BREACHING else 0
        if sum(real) + filled >= self.datapoints:
            return State.ALARM
        if len(real) == self.periods or self.missing is Missing.NOT_BREACHING or not all(real):
            return State.OK
        return State.ALARM if self.missing is Missing.MISSING and self._is_old(points) else state

    def _without_data(self, state: State) -> State:
        return {
            Missing.MISSING: State.INSUFFICIENT,
            Missing.IGNORE: state,
            Missing.BREACHING: State.ALARM,
            Missing.NOT_BREACHING: State.OK,
        }[self.missing]

    def _is_old(self, points: Sequence[Point]) -> bool:
        """Whether the oldest of points that all breach is as many periods old as there are data points to alarm.

        Then the alarm goes off although they are fewer (the same page, "avoiding premature transitions"): `--X--`
        does with 3 of 3, `---X-` waits.
        """
        newest = list(points)[-self.periods :]
        ages = [len(newest) - place for place, point in enumerate(newest) if point is not None]
        return bool(ages) and max(ages) >= self.datapoints
