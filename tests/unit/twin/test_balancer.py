"""A load balancer's opinion of its targets.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

import pytest

from twin.balancer import Balancer, Health, Targets


@pytest.fixture
def balancer():
    targets = Targets(
        interval_seconds=15, timeout_seconds=5, healthy_after=2, unhealthy_after=3, draining_seconds=180
    )
    balancer = Balancer(targets)
    balancer.register("one")
    balancer.register("two")
    return balancer


def check(balancer, target, *outcomes):
    for passed in outcomes:
        balancer.checked(target, passed=passed)


def test_one_pass_makes_a_new_target_healthy(balancer):
    check(balancer, "one", True)

    assert balancer.healthy() == balancer.serving() == ["one"]


def test_it_is_out_after_failures_in_a_row_and_back_after_passes_in_a_row(balancer):
    check(balancer, "one", True, False, False, True, False, False)
    assert balancer.health("one") is Health.HEALTHY

    check(balancer, "one", False)
    assert balancer.health("one") is Health.UNHEALTHY

    check(balancer, "one", True, False, True)
    assert balancer.health("one") is Health.UNHEALTHY

    check(balancer, "one", True)
    assert balancer.health("one") is Health.HEALTHY


def test_all_get_requests_while_none_is_healthy(balancer):
    check(balancer, "one", False, False, False)

    assert balancer.serving() == ["one", "two"]


def test_a_draining_target_gets_nothing_new_whatever_its_checks_say(balancer):
    check(balancer, "one", True)
    check(balancer, "two", True)
    balancer.drain("one")
    check(balancer, "one", True)

    assert balancer.serving() == ["two"]
    assert balancer.registered() == ["two"]


def test_without_targets_nobody_serves(balancer):
    balancer.forget("one")
    balancer.drain("two")

    assert balancer.serving() == []
