"""What CloudWatch knows: a value a minute, which can be read some time after that minute."""

from twin.expressions import Points

MINUTE = 60
_KEPT_MINUTES = 64  # the longest alarm looks at 15, and some more


class Metric:
    """The minutes of one metric.

    SQS and Auto Scaling report once a minute, a load balancer while there are requests
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html).
    How long after the minute it can be read, `lag_seconds`, is not documented.
    """

    def __init__(self, *, lag_seconds: float) -> None:
        self._lag_seconds = lag_seconds
        self._values: dict[int, float] = {}

    def put(self, minute: int, value: float | None) -> None:
        """Report a minute, counted from the clock's start; None reports nothing."""
        self._values.pop(minute - _KEPT_MINUTES, None)
        if value is not None:
            self._values[minute] = value

    def window(self, now: float, periods: int) -> Points:
        """Return the newest complete minutes as they can be read now, the newest last."""
        end = int(now // MINUTE)
        readable = (now - self._lag_seconds) // MINUTE
        get = self._values.get
        return [get(minute) if minute < readable else None for minute in range(end - periods, end)]
