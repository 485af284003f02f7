"""What the web layer has to keep, and what says first that it does not."""

import pytest

from capacity.criteria import Indicator, Sample, by_name, first_degraded, observe


def sample(started=0.0, seconds=0.1, status=201, **values):
    return Sample(started_seconds=started, seconds=seconds, name="POST /api/videos/upload", status=status, **values)


def broken(samples):
    return observe(samples).broken()


def test_the_criteria_hold_at_their_bounds():
    samples = [sample(seconds=1.0) for _ in range(95)] + [sample(status=503) for _ in range(5)]

    assert broken(samples) == []
    assert observe(samples).error_share == 0.05


def test_a_p95_above_a_second_breaks_them():
    assert broken([sample(seconds=1.001) for _ in range(6)] + [sample()] * 94) == [Indicator.LATENCY]
    assert broken([sample(seconds=1.001) for _ in range(5)] + [sample()] * 95) == []


@pytest.mark.parametrize("wrong", [{"status": 503}, {"status": 429}, {"status": 400}, {"status": 0, "failure": "x"}])
def test_more_than_five_per_cent_of_failures_break_them(wrong):
    assert Indicator.ERRORS in broken([sample(**wrong)] * 6 + [sample()] * 94)


def test_a_single_reset_or_timeout_breaks_them():
    many = [sample()] * 99

    assert broken([*many, sample(status=0, failure="reset")]) == [Indicator.RESETS]
    assert broken([*many, sample(status=0, failure="timeout")]) == [Indicator.TIMEOUTS]


def test_a_store_that_throttles_breaks_them():
    assert broken([sample()] * 99 + [sample(status=503, is_of_store=True)]) == [Indicator.THROTTLING]


def test_the_time_of_the_transfer_to_the_store_is_not_the_apis():
    assert broken([sample()] * 9 + [sample(seconds=30, status=204, is_of_store=True)]) == []


def test_the_first_indicator_is_that_of_the_earliest_window_that_breaks():
    calm = [sample(started=second) for second in range(20)]
    late = [sample(started=20 + n / 10, seconds=2) for n in range(50)]
    cut = [sample(started=40 + n / 10, status=0, failure="reset") for n in range(50)]

    assert first_degraded([*cut, *late, *calm]) == (Indicator.LATENCY, 20)


def test_nothing_has_degraded_where_every_window_holds():
    assert first_degraded([sample(started=second / 2) for second in range(200)]) is None
    assert first_degraded([]) is None


def test_a_window_of_few_requests_waits_for_more():
    assert first_degraded([sample(seconds=2), *(sample(started=15 + n) for n in range(200))]) == (
        Indicator.LATENCY,
        0,
    )
    assert first_degraded([sample(seconds=2)]) == (Indicator.LATENCY, 0)


def test_each_kind_of_request_is_observed_for_itself():
    other = Sample(started_seconds=0, seconds=3, name="GET /", status=200)

    assert {name: seen.p95_seconds for name, seen in by_name([sample(), other]).items()} == {
        "GET /": 3,
        "POST /api/videos/upload": 0.1,
    }
