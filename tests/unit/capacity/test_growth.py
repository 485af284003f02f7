"""Fleets on the simulated clock, and what a year of growth needs."""

from dataclasses import replace

import pytest

from bench.report import CannotMeasure
from capacity.growth import bound, done_within, largest_burst, measured_service_seconds
from capacity.growth_results import (
    LAST_UPLOADS_A_DAY,
    deaths,
    most_workers,
    uploads_a_day,
    workers_for,
    workers_uploads,
)
from stacks import connections
from twin.assumptions import Assumptions
from twin.groups import Size
from twin.templates import Fleet

QUICK = Assumptions(job=30)


def fleet_of(least, most):
    """A worker fleet that nothing scales: as many instances as it is told."""
    return Fleet(
        name="AnbWorker",
        size=Size(least, most),
        zones=["zone 1", "zone 2"],
        default_warm_up_seconds=120,
        grace_seconds=0,
        heeds_balancer=False,
        publishes_size=True,
        maintenance=None,
        group_name="workers",
        hook_name="",
        hook=None,
        protects_busy=True,
        targets=None,
        policies={},
        alarms=[],
        processors=2,
        visibility_seconds=120,
    )


def test_the_largest_burst_is_done_in_time_and_one_more_than_its_margin_is_not():
    fleet = fleet_of(2, 2)

    found = largest_burst(fleet, QUICK, seeds=(1,))

    assert done_within(fleet, found, QUICK, seed=1) == found
    more = found + 2 + found // 100
    assert done_within(fleet, more, QUICK, seed=1) < more


def test_the_largest_burst_is_near_what_all_processes_do_in_ten_minutes():
    # 2 instances of 2 processes, 20 jobs each in 600 s
    assert 68 <= largest_burst(fleet_of(2, 2), QUICK, seeds=(1,)) <= 86


def test_more_instances_take_larger_bursts():
    bursts = [largest_burst(fleet_of(count, count), QUICK, seeds=(1,)) for count in (1, 3, 6)]

    assert bursts == sorted(bursts)
    assert bursts[2] == pytest.approx(2 * bursts[1], rel=0.2)


def test_a_slower_job_makes_the_largest_burst_smaller():
    fleet = fleet_of(2, 2)

    assert largest_burst(fleet, replace(QUICK, job=60), seeds=(1,)) < largest_burst(fleet, QUICK, seeds=(1,))
    assert bound(fleet, QUICK) > 80


def test_the_service_time_is_that_of_the_cells_with_as_many_processes():
    cells = {
        f"{size}mb-{count}p": {"processes": count, "saturation": {"service_seconds": seconds}}
        for size, count, seconds in ((50, 1, 10.0), (50, 2, 20.0), (100, 2, 24.0))
    }

    assert measured_service_seconds({"cells": cells}, processes=2) == 22
    with pytest.raises(CannotMeasure, match="4 processes"):
        measured_service_seconds({"cells": cells}, processes=4)


def test_a_year_grows_by_the_same_factor_each_month_up_to_a_million_a_day():
    assert uploads_a_day(0) == 1000
    assert uploads_a_day(12) == pytest.approx(LAST_UPLOADS_A_DAY)
    assert uploads_a_day(6) ** 2 == pytest.approx(uploads_a_day(5) * uploads_a_day(7))


def test_workers_are_enough_for_the_peak_and_one_less_is_not():
    needed = workers_for(100_000, 6.0)

    assert workers_uploads(needed, 6.0) >= 100_000 > workers_uploads(needed - 1, 6.0)
    assert workers_for(1, 6.0) == 1


def test_a_database_class_has_connections_for_its_most_workers_and_no_more():
    most = most_workers("db.t3.micro")

    given = connections.given("db.t3.micro")
    assert connections.needed(web=3, workers=most, processes=2) <= given
    assert connections.needed(web=3, workers=most + 1, processes=2) > given


def test_what_deaths_cost_is_the_difference_that_they_make():
    without = {"took_seconds": [10.0, 20.0, 30.0], "instance_hours": 36.0}
    with_ = {"took_seconds": [10.0, 26.0, 90.0], "instance_hours": 36.5}

    found = deaths({"hours": 12, "load": 0.5, "videos": 3, "without": without, "with": with_})

    assert found["extra_mean_seconds"] == pytest.approx(22)
    assert found["extra_p95_seconds"] == 60
    assert found["with"]["longest_seconds"] == 90
