"""What the twin makes of the synthesised templates."""

import pytest

from stacks.rules.assembly import Assembly
from twin.groups import Hook, Maintenance, Size
from twin.refusal import Refused
from twin.simulated import run_servers, run_workers
from twin.templates import fleets

GROUP, POLICY = "AWS::AutoScaling::AutoScalingGroup", "AWS::AutoScaling::ScalingPolicy"
HOOK, ALARM = "AWS::AutoScaling::LifecycleHook", "AWS::CloudWatch::Alarm"
TARGETS, LAUNCH = "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::EC2::LaunchTemplate"


def properties(assembly, stack, type_, place=0):
    """Return a resource's properties, to be changed."""
    return [it for it in assembly.resources(type_) if it.stack == stack][place].definition["Properties"]


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
    running, workers = run_workers(fleet, arrivals=[1000] * 40, seconds=7200, processes=2)
    sizes = [sum(sample.in_service.values()) for sample in running.record.samples]

    assert len(workers.took_seconds) == 40
    assert workers.interrupted == 0
    assert (sizes[15], max(sizes), sizes[-1]) == (1, 3, 1)


def test_more_readers_have_more_servers(assembly):
    running, _ = run_servers(
        fleets(assembly)["AnbWeb"],
        rate=lambda now: 80 if 2000 <= now < 6000 else 10,
        seconds=9000,
        cpu_seconds=0.02,
        processors=2,
    )
    sizes = [sample.desired for sample in running.record.samples]

    assert (sizes[30], max(sizes), sizes[-1]) == (2, 3, 2)


def cooldown(a: Assembly) -> None:
    properties(a, "AnbWorker", POLICY)["Cooldown"] = "600"


def a_schedule(a: Assembly) -> None:
    a.templates["AnbWorker"]["Resources"]["Nights"] = {"Type": "AWS::AutoScaling::ScheduledAction", "Properties": {}}


def another_function(a: Assembly) -> None:
    tracking = properties(a, "AnbWorker", POLICY)["TargetTrackingConfiguration"]
    tracking["CustomizedMetricSpecification"]["Metrics"][-1]["Expression"] = "SUM(METRICS())"


def another_metric(a: Assembly) -> None:
    queries = properties(a, "AnbWorker", POLICY)["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]
    queries["Metrics"][0]["MetricStat"]["Metric"]["MetricName"] = "NumberOfMessagesSent"


def a_sum_of_samples(a: Assembly) -> None:
    queries = properties(a, "AnbWorker", POLICY)["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]
    queries["Metrics"][0]["MetricStat"]["Stat"] = "Sum"


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
        (a_slow_start, "slow_start.duration_seconds = 60"),
        (basic_monitoring, "no detailed monitoring"),
    ],
)
def test_what_the_twin_cannot_act_on_is_refused_by_name(academy, change, names):
    assembly = academy.assembly
    change(assembly)

    with pytest.raises(Refused, match=names):
        fleets(assembly)
