"""What the system costs, by the prices of one file."""

from dataclasses import replace
from typing import Any

import pytest

from capacity.costs import Measured, Prices, UnknownPrice, options, standing, surplus_vcpu_hours, used
from capacity.inventory import Database, Group, Inventory

PRICES = Prices.read()
MEASURED = Measured(videos_per_minute=6, output_megabytes=6)


def group(stack, **differences):
    shape: dict[str, Any] = {
        "instance_type": "t3.small",
        "least": 1,
        "most": 3,
        "volume_gib": 30,
        "has_addresses": True,
    }
    return Group(stack=stack, **(shape | differences))


LAB = Inventory(
    groups=(group("AnbWeb", least=2), group("AnbWorker")),
    database=Database(instance_class="db.t3.micro", storage_gib=20, multi_az=False),
    balancers=1,
    balancer_addresses=2,
    nat_gateways=0,
    secrets=2,
    alarms=16,
    dashboards=1,
    distributions=0,
)


def lines_of(inventory=LAB, **instances):
    return {line.what: line.usd for line in standing(inventory, {"AnbWeb": 2, "AnbWorker": 1, **instances}, PRICES)}


def test_every_price_names_a_source_with_its_day():
    assert all(source["date"].year >= 2026 and source["address"] for source in PRICES.sources.values())


def test_an_instance_costs_its_hours_its_volume_and_its_address():
    lines = lines_of()

    assert lines["AnbWeb t3.small"] == pytest.approx(2 * 730 * 0.0208)
    assert lines["AnbWeb volumes"] == pytest.approx(2 * 30 * 0.08)
    assert lines["AnbWeb addresses"] == pytest.approx(2 * 730 * 0.005)


def test_instances_without_public_addresses_pay_for_none():
    private = replace(LAB, groups=(group("AnbWeb", has_addresses=False), group("AnbWorker", has_addresses=False)))

    assert "AnbWeb addresses" not in lines_of(private)


def test_a_database_in_two_zones_costs_twice_its_hours_and_its_storage():
    both = replace(LAB, database=Database(instance_class="db.t3.micro", storage_gib=20, multi_az=True))

    assert lines_of(both)["database db.t3.micro"] == 2 * lines_of()["database db.t3.micro"]
    assert lines_of(both)["database storage"] == 2 * lines_of()["database storage"]


def test_a_type_without_a_price_is_named():
    with pytest.raises(UnknownPrice, match=r"x9\.huge"):
        lines_of(replace(LAB, groups=(group("AnbWeb", instance_type="x9.huge"), group("AnbWorker"))))


def test_workers_pay_for_what_they_spend_beyond_what_they_earn():
    # 6 videos a minute at 0.6 of the speed: 216 an hour, so that 21,600 take 100 hours of two processors
    spent = surplus_vcpu_hours("t3.small", 21_600, MEASURED, PRICES, workers=0.1)

    assert spent == pytest.approx(200 - 73 * 0.4)
    assert surplus_vcpu_hours("t3.small", 21_600, MEASURED, PRICES, workers=1) == 0
    assert surplus_vcpu_hours("c7g.large", 21_600, MEASURED, PRICES, workers=0.1) == 0


def test_what_is_watched_costs_by_the_way_that_it_leaves():
    plain = {line.what: line.usd for line in used(LAB, 1000, MEASURED, PRICES, workers=1)}
    distributed = {
        line.what: line.usd for line in used(replace(LAB, distributions=1), 1000, MEASURED, PRICES, workers=1)
    }

    assert plain["clips watched"] == pytest.approx(1000 * 100 * 6 / 1000 * 0.09)
    assert distributed["clips watched"] == pytest.approx(1000 * 100 * 6 / 1000 * 0.11)


def test_a_thousand_videos_cost_what_an_hour_costs_by_the_videos_in_it():
    by_name = {option.name: option for option in options(MEASURED, PRICES)}

    assert by_name["t3.small unlimited"].usd_per_thousand == pytest.approx(1000 * 0.1008 / 216)
    assert by_name["t3.small standard"].usd_per_thousand == pytest.approx(1000 * 0.0208 / 43.2)
    assert by_name["c7g.large spot"].usd_per_hour == pytest.approx(0.4 * 0.0725)
    assert by_name["Fargate ARM"].usd_per_hour == pytest.approx(2 * 0.03238 + 4 * 0.00356)
    assert by_name["MediaConvert"].usd_per_thousand == pytest.approx(8.75)


def test_options_are_sorted_by_what_a_thousand_videos_cost():
    found = [option.usd_per_thousand for option in options(MEASURED, PRICES)]

    assert found == sorted(found)
