"""Auto Scaling's rules, held to the examples that AWS publishes.

https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html and the pages that `groups` names
"""

import pytest

from ops.account.lab import SUSPENDED
from twin.alarms import Alarm, Measure
from twin.assumptions import Assumptions
from twin.groups import Does, Group, Hook, Maintenance, Request, Size, State, Step, StepPolicy, TrackingPolicy

MEASURE = Measure(expression="m", metrics={"m": "m"})
PERCENT = "PercentChangeInCapacity"
# The table of that page: threshold 50
OUT = StepPolicy(
    warm_up_seconds=120, adjustment=PERCENT, steps=(Step(0, 10, 0), Step(10, 20, 10), Step(20, None, 30))
)
IN = StepPolicy(
    warm_up_seconds=120, adjustment=PERCENT, steps=(Step(-10, 0, 0), Step(-20, -10, -10), Step(None, -20, -30))
)
TRACKING = TrackingPolicy(warm_up_seconds=120, target=10, shrinks=True, measure=MEASURE)


def make_group(
    *, least=1, most=20, desired=None, hook=None, maintenance=None, zones=("a", "b"), targets=False, **policies
):
    group = Group(
        name="fleet",
        size=Size(least, most),
        zones=zones,
        hook=hook,
        maintenance=maintenance,
        warm_up_seconds=120,
        has_targets=targets,
        policies=policies,
        assumptions=Assumptions(rebalance_after=300),
    )
    group.desired = desired or least
    run_all(group, 0)
    return group


def run_all(group, now):
    """Settle, and have whatever is launched run at once."""
    group.settle(now)
    while pending := [it.id for it in group.instances.values() if it.state is State.PENDING]:
        for id_ in pending:
            group.running(id_, now)


def ask(group, policy, value, now, *, threshold=50.0, out=None, agree=True):
    out = value >= threshold if out is None else out
    alarm = Alarm(
        name="alarm",
        policy=policy,
        measure=MEASURE,
        comparison="GreaterThanThreshold" if out else "LessThanThreshold",
        threshold=threshold,
        periods=1,
        datapoints=1,
    )
    return group.scale([Request(alarm, value)], now, agree=lambda _: agree)


def done(actions):
    return [(action.does, action.instance.id) for action in actions]


def test_steps_are_those_of_the_published_table():
    group = make_group(desired=10, out=OUT, in_=IN)
    sizes = []
    for minute, (policy, value) in enumerate([("out", 60), ("out", 70), ("in_", 40), ("in_", 30)], start=1):
        ask(group, policy, value, minute * 1000)
        run_all(group, minute * 1000)
        sizes.append(group.desired)

    assert sizes == [11, 14, 13, 10]


def test_only_the_difference_starts_while_instances_warm_up():
    group = make_group(desired=10, out=OUT)
    sizes = []
    for now, value in [(1000, 60), (1060, 62), (1090, 70)]:
        ask(group, "out", value, now)
        run_all(group, now)
        sizes.append(group.desired)

    assert sizes == [11, 11, 13]


@pytest.mark.parametrize(("capacity", "percent", "change"), [(4, 25, 2), (4, -25, -2), (10, 5, 2), (1, 10, 2)])
def test_a_least_magnitude_is_kept(capacity, percent, change):
    policy = StepPolicy(warm_up_seconds=0, adjustment=PERCENT, steps=(Step(None, None, percent),), least_magnitude=2)

    assert policy.change(capacity, 1.0) == change


def test_a_boost_is_one_for_a_minute_of_age_and_all_there_is_for_two():
    boost = StepPolicy(warm_up_seconds=120, adjustment="ChangeInCapacity", steps=(Step(0, 60, 1), Step(60, None, 2)))
    group = make_group(most=3, boost=boost)
    sizes = []
    for now, age in [(1000, 60), (1060, 120), (1120, 180)]:
        ask(group, "boost", age, now, threshold=60)
        run_all(group, now)
        sizes.append(group.desired)

    assert sizes == [2, 3, 3]
    assert boost.change(1, -1) == 0


def test_tracking_grows_in_proportion_and_shrinks_by_one():
    group = make_group(desired=2, track=TRACKING)
    ask(group, "track", 15, 1000, threshold=10)
    assert group.desired == 3

    run_all(group, 1000)
    ask(group, "track", 2, 1060, threshold=7)
    assert group.desired == 3, "an instance warms up"

    ask(group, "track", 2, 1120, threshold=7, agree=False)
    assert group.desired == 3, "another policy wants it"

    ask(group, "track", 2, 1120, threshold=7)
    assert group.desired == 2


def test_of_several_wishes_at_once_the_largest_wins():
    rest = StepPolicy(warm_up_seconds=0, adjustment="ChangeInCapacity", steps=(Step(None, None, -3),))
    group = make_group(desired=4, track=TRACKING, rest=rest)
    alarms = [
        Alarm(name=name, policy=name, measure=MEASURE, comparison=sign, threshold=10, periods=1, datapoints=1)
        for name, sign in [("track", "GreaterThanThreshold"), ("rest", "LessThanThreshold")]
    ]

    group.scale([Request(alarms[0], 20), Request(alarms[1], 1)], 1000, agree=lambda _: True)

    assert group.desired == 8


def rest_all():
    return StepPolicy(warm_up_seconds=120, adjustment=PERCENT, steps=(Step(None, 0, -100),))


def test_it_shrinks_to_its_least_from_the_fuller_zone_and_the_oldest_first():
    group = make_group(most=3, desired=3, hook=Hook(300), rest=rest_all())

    actions = ask(group, "rest", 0, 1000, threshold=1)

    assert group.desired == 1
    assert done(actions) == [(Does.ANNOUNCE, "fleet-1"), (Does.ANNOUNCE, "fleet-2")]


def test_it_shrinks_when_the_last_warm_up_has_ended_and_the_alarm_repeats_itself():
    group = make_group(most=3, desired=2, rest=rest_all())
    group.desired = 3
    run_all(group, 1000)

    assert done(ask(group, "rest", 0, 1060, threshold=1)) == []
    assert done(ask(group, "rest", 0, 1119, threshold=1)) == []
    assert group.desired == 3
    assert len(ask(group, "rest", 0, 1120, threshold=1)) == 2


def test_a_protected_instance_outlives_a_smaller_size():
    group = make_group(most=3, desired=3, rest=rest_all())
    for id_ in group.instances:
        group.protect(id_, is_protected=True, now=500)

    assert done(ask(group, "rest", 0, 1000, threshold=1)) == []
    assert (group.desired, len(group.active())) == (1, 3)
    assert done(group.protect("fleet-2", is_protected=False, now=1100)) == [(Does.END, "fleet-2")]


def test_a_hook_waits_for_completion_and_no_longer_than_its_last_heartbeat():
    group = make_group(desired=2, hook=Hook(300), rest=rest_all())
    ask(group, "rest", 0, 1000, threshold=1)
    leaving = "fleet-1"

    assert done(group.settle(1299)) == []
    group.heartbeat(leaving, 1290)
    assert done(group.settle(1589)) == []
    assert done(group.settle(1590)) == [(Does.END, leaving)]


def test_heartbeats_prolong_a_wait_to_a_hundred_times_its_length():
    group = make_group(desired=2, hook=Hook(30), rest=rest_all())
    ask(group, "rest", 0, 0 + 1000, threshold=1)
    group.heartbeat("fleet-1", 1000 + 2990)

    assert done(group.settle(1000 + 2999)) == []
    assert done(group.settle(1000 + 3000)) == [(Does.END, "fleet-1")]


def test_a_completed_wait_is_over_at_once():
    group = make_group(desired=2, hook=Hook(300), rest=rest_all())
    ask(group, "rest", 0, 1000, threshold=1)

    assert done(group.complete("fleet-1", 1001)) == [(Does.END, "fleet-1")]
    assert done(group.complete("fleet-2", 1001)) == [], "nobody wants that one to end"


def test_a_stopped_instance_is_replaced_at_once_though_its_hook_waits():
    group = make_group(desired=2, hook=Hook(300))

    assert done(group.stopped("fleet-2", 10)) == [(Does.ANNOUNCE, "fleet-2"), (Does.LAUNCH, "fleet-3")]
    assert done(group.settle(310)) == [(Does.END, "fleet-2")]


def test_a_launch_that_fails_is_tried_again():
    group = make_group()
    group.desired = 2
    assert done(group.settle(5)) == [(Does.LAUNCH, "fleet-2")]

    assert done(group.stopped("fleet-2", 10)) == [(Does.END, "fleet-2"), (Does.LAUNCH, "fleet-3")]


def test_an_unwell_instance_ends_first_where_no_policy_says_otherwise():
    group = make_group(desired=2)

    assert done(group.unwell(["fleet-1", "fleet-2"], 500)) == [(Does.END, "fleet-1"), (Does.LAUNCH, "fleet-3")]
    group.running("fleet-3", 500)
    assert done(group.unwell(["fleet-2"], 619)) == [], "one at a time: its successor warms up"
    assert done(group.unwell(["fleet-2"], 620)) == [(Does.END, "fleet-2"), (Does.LAUNCH, "fleet-4")]


def test_an_unwell_instance_ends_after_its_successor_has_come_where_the_policy_says_so():
    group = make_group(desired=2, maintenance=Maintenance(100, 133), targets=True)

    assert done(group.unwell(["fleet-1"], 500)) == [(Does.LAUNCH, "fleet-3")]
    group.running("fleet-3", 510)
    assert done(group.unwell(["fleet-1"], 629)) == []
    assert done(group.unwell(["fleet-1"], 630)) == [(Does.DEREGISTER, "fleet-1")]
    assert done(group.drained("fleet-1", 810)) == [(Does.END, "fleet-1")]


def test_instances_start_where_there_are_fewest_and_elsewhere_when_a_zone_fails():
    group = make_group(least=3, most=3)
    assert [it.zone for it in group.instances.values()] == ["a", "b", "a"]

    group.open_zones("a", is_open=False, now=10)
    group.stopped("fleet-1", 10)
    group.stopped("fleet-3", 10)

    assert [it.zone for it in group.active()] == ["b", "b", "b"]


def test_zones_are_evened_out_launch_first_and_at_the_most_too():
    group = make_group(least=3, most=3)
    group.open_zones("a", is_open=False, now=10)
    for id_ in ("fleet-1", "fleet-3"):
        group.stopped(id_, 10)
        group.ended(id_)
    run_all(group, 10)
    group.open_zones("a", is_open=True, now=1000)

    assert done(group.settle(1299)) == []
    assert done(group.settle(1300)) == [(Does.LAUNCH, "fleet-6")]
    assert len(group.active()) == 4
    assert done(group.running("fleet-6", 1310)) == [(Does.END, "fleet-2")]
    assert done(group.settle(2000)) == []


def test_an_instance_is_registered_when_it_runs_and_nobody_asks_whether_it_can_work():
    group = make_group(targets=True)
    group.desired = 2
    group.settle(5)

    assert done(group.running("fleet-2", 9)) == [(Does.REGISTER, "fleet-2")]
    assert len(group.in_service()) == 2


# ---- a lab's sessions, with what `ops pause` and `ops resume` ask of a group


def end_session(group, now):
    """Stop every instance, as a lab does, and let the group do what it then does."""
    for id_ in list(group.instances):
        group.stopped(id_, now)
    run_all(group, now)


def running(group):
    return [it.id for it in group.instances.values() if it.state is State.IN_SERVICE and not it.is_dead]


def test_without_a_pause_what_the_lab_stops_is_replaced():
    group = make_group(least=2, most=3)

    end_session(group, 100)

    assert len(running(group)) == 2


def test_in_the_middle_of_a_pause_what_the_lab_stops_is_not_replaced():
    group = make_group(least=2, most=3, out=OUT)
    group.suspend(*SUSPENDED)

    end_session(group, 100)
    ask(group, "out", 90, 200)
    run_all(group, 200)

    assert running(group) == []


def test_a_pause_ends_every_instance_when_its_worker_is_ready_and_the_next_session_begins_anew():
    group = make_group(least=1, most=3, hook=Hook(heartbeat_seconds=300))
    (busy,) = running(group)
    group.suspend(*SUSPENDED)
    group.resize(Size(0, 0), 100, desired=0)
    assert group.instances[busy].state is State.WAITING
    group.complete(busy, 160)
    group.ended(busy)

    end_session(group, 200)
    assert group.instances == {}

    group.resize(Size(1, 3), 10_000, desired=1)
    group.resume(10_000)
    run_all(group, 10_000)
    assert len(running(group)) == 1
