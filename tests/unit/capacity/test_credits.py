"""CPU credits, against the examples that AWS documents."""

import pytest

from capacity.credits import TYPES, CreditAccount, break_even, hourly_price


def test_an_unlimited_t3_nano_spends_owes_and_is_charged_as_in_the_documented_example():
    account = CreditAccount(TYPES["t3.nano"])
    seen = []
    for hours, utilisation in ((24, 0), (12, 0.025), (24, 0.07), (12, 0.025), (5, 1), (13, 0.05), (24, 0)):
        account.run(hours=hours, utilisation=utilisation)
        seen.append((round(account.balance, 1), round(account.surplus, 1), round(account.charged, 1)))

    # AWS rounds 122.4 to 122, and so 303.6 to 304
    assert seen == [
        (144, 0, 0),
        (144, 0, 0),
        (86.4, 0, 0),
        (122.4, 0, 0),
        (0, 144, 303.6),
        (0, 144, 303.6),
        (0, 0, 303.6),
    ]


@pytest.mark.parametrize(
    ("type_", "baseline"), [("t3.nano", 0.05), ("t3.small", 0.2), ("t3.large", 0.3), ("t3.xlarge", 0.4)]
)
def test_a_baseline_is_what_the_credits_of_an_hour_are_worth(type_, baseline):
    assert TYPES[type_].baseline == pytest.approx(baseline)


@pytest.mark.parametrize(
    ("type_", "hour", "m5_hour", "documented"),
    [("t3.large", 0.0835, 0.096, 0.425), ("t3.xlarge", 0.167, 0.192, 0.525), ("t3.2xlarge", 0.334, 0.384, 0.525)],
)
def test_an_unlimited_instance_breaks_even_with_an_m5_where_aws_says(type_, hour, m5_hour, documented):
    found = break_even(TYPES[type_], hour=hour, other_hour=m5_hour, surplus_vcpu_hour=0.05)

    assert found == pytest.approx(documented, abs=0.003)


def test_an_instance_that_ends_is_charged_all_that_it_owes():
    account = CreditAccount(TYPES["t3.small"])
    account.run(hours=1, utilisation=1)

    assert (account.surplus, account.charged) == (96, 0)
    account.end()
    assert account.charged_vcpu_hours == pytest.approx(1.6)


def test_a_standard_instance_falls_to_its_baseline_when_its_credits_are_spent():
    account = CreditAccount(TYPES["t3.small"], is_unlimited=False, balance=96)

    assert account.run(hours=1, utilisation=1) == 1
    assert account.run(hours=1, utilisation=1) == pytest.approx(0.2)
    assert account.charged == 0


def test_a_worker_at_full_speed_costs_its_hour_and_what_it_spends_beyond_its_baseline():
    price = hourly_price(TYPES["t3.small"], hour=0.0208, utilisation=1, surplus_vcpu_hour=0.05)

    assert price == pytest.approx(0.0208 + 0.08)
