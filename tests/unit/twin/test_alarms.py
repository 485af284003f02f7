"""CloudWatch's rules, held to the tables that AWS publishes.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html and using-metric-math.html
"""

import pytest

from twin.alarms import Alarm, Measure, Missing, State
from twin.assumptions import Assumptions
from twin.expressions import Points, compute
from twin.metrics import Metric
from twin.refusal import Refused

MODES = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
OK, ALARM, NO_DATA, KEEP = State.OK, State.ALARM, State.INSUFFICIENT, None
POINTS = {"0": 0.0, "X": 1.0, "-": None}


def alarm(*, datapoints, periods=3, missing=Missing.MISSING, threshold=0):
    measure = Measure(expression="m", metrics={"m": "m"})
    return Alarm(
        name="a",
        policy="p",
        measure=measure,
        comparison="GreaterThanThreshold",
        threshold=threshold,
        periods=periods,
        datapoints=datapoints,
        missing=missing,
    )


def points(text):
    """Return the points of a row of AWS's tables: oldest first, X breaches."""
    return [POINTS[it] for it in text]


@pytest.mark.parametrize(
    ("datapoints", "row", "results"),
    [
        (3, "0-X-X", (OK, OK, OK, OK)),
        (3, "0----", (OK, OK, OK, OK)),
        (3, "-----", (NO_DATA, KEEP, ALARM, OK)),
        (3, "0XX-X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "--X--", (ALARM, KEEP, ALARM, OK)),
        (2, "0-X-X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "00X0X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0-X--", (OK, OK, ALARM, OK)),
        (2, "----0", (OK, OK, ALARM, OK)),
        (2, "---X-", (ALARM, KEEP, ALARM, OK)),
    ],
)
def test_missing_data_counts_as_in_the_published_tables(datapoints, row, results):
    for missing, result in zip(MODES, results, strict=True):
        for before in State:
            found = alarm(datapoints=datapoints, missing=missing).evaluate(points(row), before)
            assert found is (before if result is KEEP else result), missing


@pytest.mark.parametrize("row", ["----X", "---X-"])
def test_a_single_new_breach_is_waited_with(row):
    assert alarm(datapoints=3).evaluate(points(row), State.OK) is State.OK


def test_it_goes_off_after_three_periods_above_and_back_after_one_below():
    values = [2, 2, 5, 5, 5, 2, 2, 2, 5, 2, 2]
    it, state, states = alarm(datapoints=3, threshold=3), State.OK, []
    for end in range(3, len(values) + 1):
        state = it.evaluate([float(value) for value in values[end - 3 : end]], state)
        states.append((end, state))

    assert [end for end, state in states if state is State.ALARM] == [5]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("IF(m1, m2, m3)", [30, 0, 20, None, None]), ("IF(m1, 5, m3)", [5, 5, 20, None, None])],
)
def test_if_is_that_of_the_published_example(expression, expected):
    metrics = {
        "m1": [1.0, 1.0, 0.0, 0.0, None],
        "m2": [30.0, None, 0.0, 0.0, 30.0],
        "m3": [0.0, 0.0, 20.0, None, 20.0],
    }

    assert compute(expression, metrics, Assumptions()) == expected


def test_fill_makes_a_late_minute_of_the_queue_an_empty_one():
    metrics = {"visible": [12.0, 12.0, 12.0, None], "inflight": [1.0, 1.0, 1.0, None]}
    filled = compute("visible + FILL(inflight, 0)", metrics, Assumptions())
    plain = compute("visible + inflight", metrics, Assumptions())
    guarded = compute("IF(visible, visible + FILL(inflight, 0), FILL(inflight, 0))", metrics, Assumptions())
    it = alarm(datapoints=3, threshold=3)

    assert (filled, plain, guarded) == ([13, 13, 13, 0], [13, 13, 13, None], [13, 13, 13, None])
    assert it.evaluate(filled, State.OK) is State.OK
    assert it.evaluate(plain, State.OK) is State.ALARM


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a / b", [None, 0.0, None]),
        ("a + b", [1, 5, None]),
        ("a < 2", [1, None, None]),
        ("a + b + 1", [2, 6, None]),
        ("FILL(a, 7)", [1, 7, 7]),
    ],
)
def test_a_missing_operand_counts_as_nothing(expression, expected):
    metrics = {"a": [1.0, None, None], "b": [None, 5.0, None]}

    assert compute(expression, metrics, Assumptions()) == expected


def test_math_with_a_missing_operand_may_also_give_nothing():
    metrics: dict[str, Points] = {"a": [1.0, 2.0], "b": [None, 5.0]}

    assert compute("a + b", metrics, Assumptions(missing_operand_is_zero=False)) == [None, 7]


@pytest.mark.parametrize(
    "expression", ["SUM(METRICS())", "FILL(a, REPEAT)", "a ^ 2", "a[0]", "a < 1 < 2", "__import__('os')"]
)
def test_what_metric_math_has_besides_is_refused_by_name(expression):
    with pytest.raises(Refused, match="nothing that the twin knows"):
        compute(expression, {"a": [1.0]}, Assumptions())


def test_a_minute_can_be_read_after_its_lag():
    metric = Metric(lag_seconds=60)
    for minute in range(5):
        metric.put(minute, minute)

    assert metric.window(300, 3) == [2, 3, None]
    assert metric.window(359, 3) == [2, 3, None]
    assert metric.window(360, 3) == [3, 4, None]
    assert Metric(lag_seconds=0).window(300, 2) == [None, None]
