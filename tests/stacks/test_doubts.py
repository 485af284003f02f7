"""What AWS does not document, or what is told of it in two ways, changes nothing that scaling promises.

Each test settles one doubt: the templates make it impossible, or it does no harm over its whole range.
"""

from dataclasses import replace

import pytest

from bench.worker_policies import worker_candidates
from twin.assumptions import Assumptions
from twin.groups import Size, StepPolicy
from twin.simulated import compose_servers, run_workers
from twin.templates import fleets

LAGS = (0, 60, 120, 180)
BURST_AT = 1800


@pytest.fixture
def workers(academy):
    return fleets(academy.assembly)["AnbWorker"]


@pytest.fixture
def web(academy):
    return fleets(academy.assembly)["AnbWeb"]


def burst(fleet, assumptions):
    """Return what a burst of forty videos leaves, two hours after it."""
    return run_workers(fleet, arrivals=[BURST_AT] * 40, seconds=BURST_AT + 7200, assumptions=assumptions)


def alarmed(running, name):
    return any(event.what == f"{name} ALARM" for event in running.record.events)


@pytest.mark.parametrize("operand_is_zero", [True, False])
@pytest.mark.parametrize("lag", LAGS)
def test_a_late_minute_of_the_queue_hides_no_backlog(workers, lag, operand_is_zero):
    running, done = burst(workers, Assumptions(queue_lag=lag, missing_operand_is_zero=operand_is_zero))

    assert max(sample.desired for sample in running.record.samples) == 3
    assert running.record.samples[-1].desired == 1
    assert len(done.took_seconds) == 40
    assert done.interrupted == 0


def test_a_late_minute_that_is_filled_in_hides_a_backlog(workers):
    filled = worker_candidates(workers)["in only when idle"]
    at_once, late = (burst(filled, Assumptions(queue_lag=lag, group_lag=0))[0] for lag in (0, 60))

    assert alarmed(at_once, "tracking 0-AlarmHigh")
    assert not alarmed(late, "tracking 0-AlarmHigh")


def test_nothing_scales_by_the_age_of_a_job(academy):
    for fleet in fleets(academy.assembly).values():
        measures = [alarm.measure for alarm in fleet.alarms]
        measures += [it.measure for it in fleet.policies.values() if not isinstance(it, StepPolicy)]
        assert "ApproximateAgeOfOldestMessage" not in {name for it in measures for name in it.metrics.values()}


def test_three_workers_are_asked_for_within_four_minutes_of_a_burst(workers):
    for lag in (0, 60, 120):
        running, _ = burst(workers, Assumptions(queue_lag=lag))
        asked = min(sample.at_seconds for sample in running.record.samples if sample.desired == 3)
        assert asked - BURST_AT <= 60 * 2 + lag + 60


@pytest.mark.parametrize("lag", LAGS)
def test_nothing_asks_for_more_once_a_burst_is_done(workers, lag):
    running, done = burst(workers, Assumptions(queue_lag=lag))
    over = max(at + took for at, took in done.took_seconds)
    launched = [event.at_seconds for event in running.record.events if event.what == "launch"]

    assert max(launched) < over


@pytest.mark.parametrize("boot", [60, 240, 1200])
def test_instances_that_boot_are_not_asked_for_again(workers, boot):
    running, _ = burst(replace(workers, size=Size(1, 9)), Assumptions(boot=boot))

    assert max(sample.desired for sample in running.record.samples) == 3


LONG_BOOT = Assumptions(boot=1000)


def ended_while_they_boot(fleet, seed):
    loop, running, _ = compose_servers(fleet, rate=lambda _: 5, cpu_seconds=0.02, assumptions=LONG_BOOT, seed=seed)
    loop.run(7200)
    return any(event.what == "ended" for event in running.record.events)


def test_nobody_ends_servers_that_boot_for_long(web):
    assert not any(ended_while_they_boot(web, seed) for seed in range(5))
    assert ended_while_they_boot(replace(web, grace_seconds=300), 0)


def visited(web, assumptions):
    """Return how many servers there are after hours of many visitors, hours of none, and an hour of some."""
    loop, running, _ = compose_servers(
        web,
        rate=lambda now: 100 if now < 7200 else 0 if now < 18_000 else 1,
        cpu_seconds=0.002,
        assumptions=assumptions,
    )
    sizes = []
    for until in (7200, 18_000, 21_600):
        loop.run(until)
        sizes.append(running.group.desired)
    return sizes


@pytest.mark.parametrize("low_threshold", [0.7, 0.9])
@pytest.mark.parametrize(("is_zero", "unvisited"), [(True, 2), (False, 3)])
def test_a_site_that_nobody_visits_has_one_server_too_many_at_most(web, low_threshold, is_zero, unvisited):
    assumptions = Assumptions(low_threshold=low_threshold, silence_is_zero_requests=is_zero)

    assert visited(web, assumptions) == [3, unvisited, 2]
