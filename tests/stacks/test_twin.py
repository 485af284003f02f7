"""What the twin makes of the synthesised templates."""

import json
import re
from typing import Any

import pytest

from bench import web_policies
from bench.worker_policies import answer
from stacks.rules.assembly import Assembly
from twin.assumptions import Assumptions
from twin.groups import Hook, Maintenance, Size
from twin.refusal import Refused
from twin.simulated import compose_servers, run_workers
from twin.templates import fleets

GROUP, POLICY = "AWS::AutoScaling::AutoScalingGroup", "AWS::AutoScaling::ScalingPolicy"
HOOK, ALARM = "AWS::AutoScaling::LifecycleHook", "AWS::CloudWatch::Alarm"
TARGETS, LAUNCH = "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::EC2::LaunchTemplate"


def properties(assembly, stack, type_, place=0):
    """Return a resource's properties, to be changed."""
    return [it for it in assembly.resources(type_) if it.stack == stack][place].definition["Properties"]


def alarm(a: Assembly, name: str) -> Any:
    """Return the properties of one of the workers' scaling alarms."""
    (found,) = (it for it in a.resources(ALARM) if it.logical_id.startswith(f"Scaling{name}"))
    return found.definition["Properties"]


def test_both_fleets_are_read(assembly):
    web, worker = (fleets(assembly)[stack] for stack in ("AnbWeb", "AnbWorker"))

    assert (worker.size, worker.hook) == (Size(1, 3), Hook(heartbeat_seconds=300))
    assert (worker.visibility_seconds, worker.protects_busy, worker.targets) == (120, True, None)
    assert worker.zones == web.zones == ["zone 1", "zone 2"]
    assert (web.size, web.hook, web.visibility_seconds) == (Size(2, 3), None, None)
    assert web.heeds_balancer
    assert web.targets is not None
    assert web.maintenance == Maintenance(100, 133)


def test_a_burst_of_forty_videos_has_three_workers_and_ends_with_one(assembly):
    fleet = fleets(assembly)["AnbWorker"]
    running, workers = run_workers(fleet, arrivals=[1000] * 40, seconds=7200)
    sizes = [sum(sample.in_service.values()) for sample in running.record.samples]

    assert len(workers.took_seconds) == 40
    assert workers.interrupted == 0
    assert (sizes[15], max(sizes), sizes[-1]) == (1, 3, 1)


def test_more_readers_have_more_servers(assembly):
    loop, running, _ = compose_servers(
        fleets(assembly)["AnbWeb"], rate=lambda now: 80 if 2000 <= now < 6000 else 10, cpu_seconds=0.02
    )
    loop.run(9000)
    sizes = [sample.desired for sample in running.record.samples]

    assert (sizes[30], max(sizes), sizes[-1]) == (2, 3, 2)


def cooldown(a: Assembly) -> None:
    properties(a, "AnbWorker", POLICY)["Cooldown"] = "600"


def a_schedule(a: Assembly) -> None:
    a.templates["AnbWorker"]["Resources"]["Nights"] = {"Type": "AWS::AutoScaling::ScheduledAction", "Properties": {}}


def another_function(a: Assembly) -> None:
    (returned,) = (it for it in alarm(a, "Behind")["Metrics"] if "Expression" in it)
    returned["Expression"] = "SUM(METRICS())"


def visible(a: Assembly) -> Any:
    """Return how the first of the scaling alarms looks at what waits in the queue."""
    (found,) = (it["MetricStat"] for it in alarm(a, "Behind")["Metrics"] if it["Id"] == "visible")
    return found


def another_metric(a: Assembly) -> None:
    visible(a)["Metric"]["MetricName"] = "NumberOfMessagesSent"


def a_sum_of_samples(a: Assembly) -> None:
    visible(a)["Stat"] = "Sum"


def simple_scaling(a: Assembly) -> None:
    del properties(a, "AnbWorker", POLICY)["PolicyType"]


def another_missing_data_mode(a: Assembly) -> None:
    properties(a, "AnbWorker", ALARM)["TreatMissingData"] = "zero"


def a_low_quantile(a: Assembly) -> None:
    properties(a, "AnbWorker", ALARM)["EvaluateLowSampleCountPercentile"] = "ignore"


def a_launch_hook(a: Assembly) -> None:
    properties(a, "AnbWorker", HOOK)["LifecycleTransition"] = "autoscaling:EC2_INSTANCE_LAUNCHING"


def another_termination_policy(a: Assembly) -> None:
    properties(a, "AnbWorker", GROUP)["TerminationPolicies"] = ["NewestInstance"]


def one_check_decides(a: Assembly) -> None:
    properties(a, "AnbWeb", TARGETS)["UnhealthyThresholdCount"] = 1


def a_slow_start(a: Assembly) -> None:
    attributes = properties(a, "AnbWeb", TARGETS)["TargetGroupAttributes"]
    attributes.append({"Key": "slow_start.duration_seconds", "Value": "60"})


def basic_monitoring(a: Assembly) -> None:
    properties(a, "AnbWeb", LAUNCH)["LaunchTemplateData"]["Monitoring"]["Enabled"] = False


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (cooldown, "Cooldown: a cooldown holds back simple scaling alone"),
        (a_schedule, "AnbWorker Nights: the twin does not know AWS::AutoScaling::ScheduledAction"),
        (another_function, r"SUM\(METRICS\(\)\)"),
        (another_metric, "AWS/SQS NumberOfMessagesSent"),
        (a_sum_of_samples, "ApproximateNumberOfMessagesVisible as Sum"),
        (simple_scaling, "PolicyType SimpleScaling"),
        (another_missing_data_mode, "does not know zero"),
        (a_low_quantile, "EvaluateLowSampleCountPercentile"),
        (a_launch_hook, "EC2_INSTANCE_LAUNCHING"),
        (another_termination_policy, "TerminationPolicies"),
        (one_check_decides, "UnhealthyThresholdCount 1: it is 2 to 10"),
        (a_slow_start, "slow_start.duration_seconds = 60"),
        (basic_monitoring, "no detailed monitoring"),
    ],
)
def test_what_the_twin_cannot_act_on_is_refused_by_name(academy, change, names):
    assembly = academy.assembly
    change(assembly)

    with pytest.raises(Refused, match=names):
        fleets(assembly)


# ---- what scaling promises


SLOW = Assumptions(job=45, protection_delay=3)


def few_loads(fleet):
    """Return which promises a worker fleet breaks under a few loads, and with slower jobs and calls, in a second."""
    usual = answer(fleet, bursts=(20, 40), loads=(0.05, 0.65), hours=8, runs=1)
    slow = answer(fleet, assumptions=SLOW, bursts=(40,), loads=(0.35, 0.55), hours=8, runs=1)
    return " / ".join((*usual.broken(), *slow.broken()))


def test_workers_keep_what_scaling_promises(assembly):
    assert few_loads(fleets(assembly)["AnbWorker"]) == ""


def behind_at_three_times_as_many_jobs(a: Assembly) -> None:
    alarm(a, "Behind")["Threshold"] = 66


def behind_at_a_sixth_of_the_jobs(a: Assembly) -> None:
    alarm(a, "Behind")["Threshold"] = 4


def only_an_idle_fleet_shrinks(a: Assembly) -> None:
    alarm(a, "Spare")["Threshold"] = 0.5


def an_hour_until_one_ends(a: Assembly) -> None:
    alarm(a, "Spare").update(EvaluationPeriods=60, DatapointsToAlarm=60)


def no_hook(a: Assembly) -> None:
    (hook,) = (it for it in a.resources(HOOK) if it.stack == "AnbWorker")
    del a.templates["AnbWorker"]["Resources"][hook.logical_id]


def no_metrics_of_the_group(a: Assembly) -> None:
    del properties(a, "AnbWorker", GROUP)["MetricsCollection"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (behind_at_three_times_as_many_jobs, "of 40 videos at once"),
        (behind_at_a_sixth_of_the_jobs, "on average, not at most"),
        (only_an_idle_fleet_shrinks, "a load of 1.95 instances has 2.[89]"),
        (an_hour_until_one_ends, "min after 40 videos the fleet is not at its least again"),
        (no_hook, "jobs were interrupted by the end of their instance"),
        (no_metrics_of_the_group, "of 40 videos at once"),
    ],
)
def test_a_number_that_breaks_a_promise_is_told_with_what_it_breaks(academy, change, sentence):
    assembly = academy.assembly
    change(assembly)

    assert re.search(sentence, few_loads(fleets(assembly)["AnbWorker"]))


def nothing_in_flight_counts(a: Assembly) -> None:
    for name in ("Behind", "Spare"):
        (returned,) = (it for it in alarm(a, name)["Metrics"] if "Expression" in it)
        returned["Expression"] = returned["Expression"].replace("IF(visible >= 0, inflight, 0)", "0")


def test_jobs_wait_longer_where_those_in_work_do_not_count(academy):
    assembly = academy.assembly
    nothing_in_flight_counts(assembly)
    all_, waiting = (
        answer(fleets(it)["AnbWorker"], bursts=(), loads=(0.65,), hours=8, runs=1)
        for it in (academy.assembly, assembly)
    )

    assert waiting.steady[0.65 * 3].p95_seconds > 1.1 * all_.steady[0.65 * 3].p95_seconds


def test_busy_workers_are_told_to_end_more_often_without_their_protection(production):
    assembly = production.assembly
    for policy in assembly.resources("AWS::IAM::Policy"):
        text = json.dumps(policy.definition["Properties"])
        policy.definition["Properties"].update(json.loads(text.replace("SetInstanceProtection", "DescribeTags")))
    bursts_above_a_light_load = [*range(0, 28_800, 20), *sorted([*range(1800, 28_800, 1800)] * 40)]
    protected, not_ = (
        run_workers(it["AnbWorker"], arrivals=bursts_above_a_light_load, seconds=28_800)[1]
        for it in (fleets(production.assembly), fleets(assembly))
    )

    assert protected.interrupted == not_.interrupted == 0, "the hook waits for them"
    assert 2 * protected.chosen_busy < not_.chosen_busy


def test_web_servers_keep_what_scaling_promises(assembly):
    assert list(web_policies.broken(web_policies.answer(fleets(assembly)["AnbWeb"]))) == []


def target_of(a: Assembly, policy: str) -> Any:
    (found,) = (it for it in a.resources(POLICY) if policy in it.logical_id and it.stack == "AnbWeb")
    return found.definition["Properties"]["TargetTrackingConfiguration"]


def four_times_the_requests(a: Assembly) -> None:
    target_of(a, "Requests")["TargetValue"] = 6000


def hardly_a_request(a: Assembly) -> None:
    target_of(a, "Requests")["TargetValue"] = 100


def no_cpu_is_too_much(a: Assembly) -> None:
    target_of(a, "Cpu")["TargetValue"] = 101


def no_fewer_by_cpu(a: Assembly) -> None:
    a.templates["AnbWeb"]["Resources"].pop(
        next(it.logical_id for it in a.resources(POLICY) if "Requests" in it.logical_id)
    )
    target_of(a, "Cpu")["DisableScaleIn"] = True


@pytest.mark.parametrize(
    ("change", "load", "sentence"),
    [
        (four_times_the_requests, "crowd, site visited", "of the requests fail"),
        (hardly_a_request, "crowd, site quiet", "min after the load the fleet is not at its least again"),
        (no_cpu_is_too_much, "fast uploads", "of the requests fail, over"),
        (no_fewer_by_cpu, "voters", "min after the load the fleet is not at its least again"),
    ],
)
def test_a_target_that_breaks_a_promise_is_told_with_what_it_breaks(academy, change, load, sentence):
    assembly = academy.assembly
    change(assembly)
    found = web_policies.served(fleets(assembly)["AnbWeb"], web_policies.LOADS[load])

    assert re.search(f"{load}: .*{sentence}", " / ".join(web_policies.broken({load: found})))


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_hangs_is_out_after_as_many_checks_as_the_template_says(academy, seed):
    fleet = fleets(academy.assembly)["AnbWeb"]
    targets = fleet.targets
    assert targets is not None
    loop, running, servers = compose_servers(fleet, rate=lambda _: 5, cpu_seconds=0.02, seed=seed)
    loop.run(600)
    hangs = min(servers.launched)
    servers.lose(hangs)
    began = loop.now()
    while running.balancer and running.balancer.health(hangs) == "healthy":
        loop.run(loop.now() + 1)
    last = targets.interval_seconds * targets.unhealthy_after + targets.timeout_seconds

    assert last - targets.interval_seconds <= loop.now() - began <= last + 1


def failed_in_a_dead_zone(fleet):
    """Return the share of requests that fail in the hour after everything in the first zone has vanished."""
    loop, running, servers = compose_servers(fleet, rate=lambda _: 40, cpu_seconds=0.02)
    loop.run(3600)
    servers.asked = servers.failed = 0
    running.open_zones("zone 1", is_open=False)
    for instance in running.group.in_service():
        if instance.zone == "zone 1":
            servers.fail(instance.id)
    loop.run(7200)
    return servers.failed / servers.asked


def test_a_web_fleet_outlives_a_zone_where_it_has_two(academy):
    assembly = academy.assembly
    assert failed_in_a_dead_zone(fleets(assembly)["AnbWeb"]) == 0

    del properties(assembly, "AnbWeb", GROUP)["VPCZoneIdentifier"][1]
    assert failed_in_a_dead_zone(fleets(assembly)["AnbWeb"]) == 1
