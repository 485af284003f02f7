"""What the fleets of a synthesised system scale by. What nothing here acts on is refused by name, never guessed."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.instance_types import vcpus
from stacks.rules.assembly import Assembly, Resource
from twin.alarms import COMPARISONS, Alarm, Measure, Missing
from twin.balancer import Targets
from twin.expressions import names_in
from twin.groups import Hook, Maintenance, Policy, Size, Step, StepPolicy, TrackingPolicy
from twin.refusal import Refused

GROUP, HOOK, POLICY = (f"AWS::AutoScaling::{it}" for it in ("AutoScalingGroup", "LifecycleHook", "ScalingPolicy"))
ALARM, QUEUE, TOPIC = "AWS::CloudWatch::Alarm", "AWS::SQS::Queue", "AWS::SNS::Topic"
TARGETS, LAUNCH = "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::EC2::LaunchTemplate"
# Whatever else of these services is in a template could change what a fleet does
_SCALING_SERVICES = ("AWS::AutoScaling", "AWS::ApplicationAutoScaling::", "AWS::CloudWatch::")
_KNOWN_OF_THEM = {GROUP, HOOK, POLICY, ALARM, "AWS::CloudWatch::Dashboard"}

# By type: the properties that are acted on, and those that change nothing about how many instances there are
_PROPERTIES: Mapping[str, tuple[str, str]] = {
    GROUP: (
        (
            "MinSize MaxSize DefaultInstanceWarmup HealthCheckGracePeriod HealthCheckType InstanceMaintenancePolicy"
            " TargetGroupARNs TerminationPolicies VPCZoneIdentifier MetricsCollection LaunchTemplate"
        ),
        "AutoScalingGroupName Tags",
    ),
    HOOK: ("AutoScalingGroupName DefaultResult HeartbeatTimeout LifecycleTransition", "LifecycleHookName"),
    POLICY: (
        (
            "AutoScalingGroupName PolicyType EstimatedInstanceWarmup TargetTrackingConfiguration AdjustmentType"
            " StepAdjustments MinAdjustmentMagnitude"
        ),
        "MetricAggregationType",
    ),
    ALARM: (
        (
            "AlarmActions ComparisonOperator DatapointsToAlarm Dimensions EvaluationPeriods MetricName Metrics"
            " Namespace Period Statistic Threshold TreatMissingData"
        ),
        "AlarmDescription Tags",
    ),
    TARGETS: (
        (
            "HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount UnhealthyThresholdCount"
            " TargetGroupAttributes"
        ),
        "HealthCheckPath Matcher Port Protocol Tags TargetType VpcId",
    ),
}
_WHY_NOT = {
    "Cooldown": "a cooldown holds back simple scaling alone; these policies have a warm-up",
    "DesiredCapacity": "every deployment would set the size anew, whatever scaling has decided",
}
_TERMINATION = ["OldestLaunchTemplate", "OldestInstance"]
_ATTRIBUTES = {"stickiness.enabled": "false"}
_DRAINING = "deregistration_delay.timeout_seconds"
# What the twin measures, by namespace and name; a queue's or a group's is found by its one dimension
METRICS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName", QUEUE),
    ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible"): ("QueueName", QUEUE),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): ("QueueName", QUEUE),
    ("AWS/AutoScaling", "GroupInServiceInstances"): ("AutoScalingGroupName", GROUP),
    ("AWS/EC2", "CPUUtilization"): ("AutoScalingGroupName", GROUP),
}
_PREDEFINED = {"ASGAverageCPUUtilization": "CPUUtilization", "ALBRequestCountPerTarget": "RequestCountPerTarget"}
# A window of SQS can hold two samples, so that a sum of them counts twice
_STATISTICS = ("Maximum", "Average")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A group with all that decides how many instances it has."""

    name: str
    group_name: str
    """What workers call their group by, where the template names it."""
    size: Size
    zones: Sequence[str]
    default_warm_up_seconds: int
    grace_seconds: int
    heeds_balancer: bool
    publishes_size: bool
    maintenance: Maintenance | None
    hook: Hook | None
    hook_name: str
    protects_busy: bool
    targets: Targets | None
    policies: Mapping[str, Policy]
    alarms: Sequence[Alarm]
    processors: int
    visibility_seconds: int | None
    """Of the queue that the fleet scales on, if it scales on one."""


def fleets(assembly: Assembly) -> dict[str, Fleet]:
    """Return the system's fleets by the stacks that they are in; raises Refused for what cannot be acted on."""
    for resource in assembly.resources():
        if resource.type.startswith(_SCALING_SERVICES) and resource.type not in _KNOWN_OF_THEM:
            raise Refused(f"{_where(resource)}: the twin does not know {resource.type}")
    return {group.stack: _fleet(assembly, group) for group in assembly.resources(GROUP)}


def _fleet(assembly: Assembly, group: Resource) -> Fleet:
    is_ = _properties(group)
    if is_.get("TerminationPolicies") != _TERMINATION:
        raise Refused(f"{_where(group)}: TerminationPolicies other than {', '.join(_TERMINATION)}")
    least, most = int(is_["MinSize"]), int(is_["MaxSize"])
    warm_up = int(is_.get("DefaultInstanceWarmup", 300))  # the default cooldown, where there is no warm-up
    policies = {it.logical_id: _policy(assembly, it, warm_up) for it in _of_group(assembly, group, POLICY)}
    alarms = [alarm for it in assembly.resources(ALARM) if (alarm := _alarm(assembly, it, policies))]
    launch = _launch(assembly, group)
    queues = {it.logical_id: it for it in _queues(assembly, group)}
    if len(queues) > 1:
        raise Refused(f"{_where(group)}: scales on more than one queue: {', '.join(queues)}")
    return Fleet(
        name=group.stack,
        group_name=is_.get("AutoScalingGroupName", group.logical_id),
        size=Size(least, most),
        zones=[
            f"zone {number}" for number in range(1, 1 + len(assembly.zones(group.stack, is_["VPCZoneIdentifier"])))
        ],
        default_warm_up_seconds=warm_up,
        grace_seconds=int(is_.get("HealthCheckGracePeriod", 0)),
        heeds_balancer=is_.get("HealthCheckType", "EC2") == "ELB",
        publishes_size="MetricsCollection" in is_,
        maintenance=_maintenance(group),
        hook=_hook(assembly, group),
        hook_name=next((_hook_name(it) for it in _of_group(assembly, group, HOOK)), ""),
        protects_busy=_protects(assembly, group),
        targets=_targets(assembly, group),
        policies=policies,
        alarms=alarms,
        processors=vcpus(launch["InstanceType"]) or 1,
        visibility_seconds=next((int(it.properties.get("VisibilityTimeout", 30)) for it in queues.values()), None),
    )


def _policy(assembly: Assembly, policy: Resource, default_warm_up: int) -> Policy:
    is_ = _properties(policy)
    warm_up = int(is_.get("EstimatedInstanceWarmup", default_warm_up))
    match is_.get("PolicyType", "SimpleScaling"):
        case "TargetTrackingScaling":
            tracking = is_["TargetTrackingConfiguration"]
            allowed = "TargetValue DisableScaleIn CustomizedMetricSpecification PredefinedMetricSpecification"
            _check_known(policy, tracking, allowed.split())
            return TrackingPolicy(
                warm_up_seconds=warm_up,
                target=float(tracking["TargetValue"]),
                shrinks=not tracking.get("DisableScaleIn", False),
                measure=_tracked(assembly, policy, tracking),
            )
        case "StepScaling":
            kind = is_["AdjustmentType"]
            if kind not in StepPolicy.ADJUSTMENTS:
                raise Refused(f"{_where(policy)}: the twin does not know AdjustmentType {kind}")
            return StepPolicy(
                warm_up_seconds=warm_up,
                adjustment=kind,
                steps=tuple(map(_step, is_["StepAdjustments"])),
                least_magnitude=int(is_.get("MinAdjustmentMagnitude", 1)),
            )
        case kind:
            raise Refused(f"{_where(policy)}: the twin does not know PolicyType {kind}")


def _step(step: Mapping[str, Any]) -> Step:
    bounds = (step.get(f"MetricInterval{side}Bound") for side in ("Lower", "Upper"))
    lower, upper = (None if bound is None else float(bound) for bound in bounds)
    return Step(lower, upper, int(step["ScalingAdjustment"]))


def _tracked(assembly: Assembly, policy: Resource, tracking: Mapping[str, Any]) -> Measure:
    if "CustomizedMetricSpecification" in tracking:
        specification = tracking["CustomizedMetricSpecification"]
        _check_known(policy, specification, ["Metrics"])
        return _measure(assembly, policy, specification["Metrics"])
    specification = tracking["PredefinedMetricSpecification"]
    _check_known(policy, specification, ["PredefinedMetricType", "ResourceLabel"])
    kind = specification["PredefinedMetricType"]
    if kind not in _PREDEFINED:
        raise Refused(f"{_where(policy)}: the twin does not know PredefinedMetricType {kind}")
    return Measure(expression="m", metrics={"m": _PREDEFINED[kind]})


def _alarm(assembly: Assembly, alarm: Resource, policies: Mapping[str, Policy]) -> Alarm | None:
    """Return the alarm if it acts on one of these policies; one that tells people is none of ours."""
    acted = [_acted(assembly, alarm, action) for action in alarm.properties.get("AlarmActions", [])]
    if not any(it.type == POLICY for it in acted):
        return None
    is_ = _properties(alarm)
    if len(acted) > 1:
        raise Refused(f"{_where(alarm)}: has more than one AlarmAction")
    if acted[0].logical_id not in policies or acted[0].stack != alarm.stack:
        return None
    periods, sign = int(is_["EvaluationPeriods"]), is_["ComparisonOperator"]
    missing = is_.get("TreatMissingData", "missing")
    if missing not in set(Missing) or sign not in COMPARISONS:
        raise Refused(f"{_where(alarm)}: the twin does not know {missing if missing not in set(Missing) else sign}")
    queries = is_.get("Metrics") or [_plain_query(is_)]
    return Alarm(
        name=alarm.logical_id,
        policy=acted[0].logical_id,
        measure=_measure(assembly, alarm, queries),
        comparison=sign,
        threshold=float(is_["Threshold"]),
        periods=periods,
        datapoints=int(is_.get("DatapointsToAlarm", periods)),
        missing=Missing(missing),
    )


def _acted(assembly: Assembly, alarm: Resource, action: Any) -> Resource:
    found = assembly.follow(alarm.stack, action)
    if found is None or found.type not in {POLICY, TOPIC}:
        raise Refused(f"{_where(alarm)}: the twin does not know the AlarmAction {json.dumps(action)}")
    return found


def _plain_query(alarm: Mapping[str, Any]) -> dict[str, Any]:
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions")}
    return {"Id": "m", "MetricStat": {"Metric": metric, "Stat": alarm["Statistic"], "Period": alarm["Period"]}}


def _measure(assembly: Assembly, resource: Resource, queries: Sequence[Mapping[str, Any]]) -> Measure:
    metrics: dict[str, str] = {}
    for query in queries:
        _check_known(resource, query, ["Id", "Expression", "MetricStat", "ReturnData", "Label"])
        if "MetricStat" in query:
            metrics[query["Id"]] = _metric(assembly, resource, query["MetricStat"])
    (returned,) = [it for it in queries if it.get("ReturnData", True)]
    expression = returned.get("Expression", returned["Id"])
    if unknown := names_in(expression) - metrics.keys():
        raise Refused(
            f"{_where(resource)}: {expression!r} names {', '.join(sorted(unknown))}, which is no metric of it"
        )
    return Measure(expression=expression, metrics=metrics)


def _metric(assembly: Assembly, resource: Resource, stat: Mapping[str, Any]) -> str:
    _check_known(resource, stat, ["Metric", "Stat", "Period"])
    name, period, statistic = stat["Metric"]["MetricName"], stat.get("Period"), stat["Stat"]
    known = METRICS.get((stat["Metric"]["Namespace"], name))
    if known is None:
        raise Refused(f"{_where(resource)}: the twin does not measure {stat['Metric']['Namespace']} {name}")
    if period != 60 or statistic not in _STATISTICS:
        raise Refused(f"{_where(resource)}: the twin does not know {name} as {statistic} of {period} s")
    dimension, type_ = known
    (given,) = stat["Metric"]["Dimensions"]
    found = assembly.follow(resource.stack, given["Value"])
    if given["Name"] != dimension or found is None or found.type != type_:
        raise Refused(f"{_where(resource)}: the {given['Name']} of {name} leads to no {type_}")
    return str(name)


def _queues(assembly: Assembly, group: Resource) -> Iterator[Resource]:
    """Yield the queues that the dimensions of the group's policies and alarms lead to."""
    for resource in assembly.resources(POLICY, ALARM):
        if resource.stack == group.stack:
            for value in _values_of("QueueName", resource.properties):
                found = assembly.follow(resource.stack, value)
                if found and found.type == QUEUE:
                    yield found


def _values_of(dimension: str, value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if value.get("Name") == dimension and "Value" in value:
            yield value["Value"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _values_of(dimension, inner)


def _maintenance(group: Resource) -> Maintenance | None:
    policy = group.properties.get("InstanceMaintenancePolicy")
    return policy and Maintenance(int(policy["MinHealthyPercentage"]), int(policy["MaxHealthyPercentage"]))


def _hook(assembly: Assembly, group: Resource) -> Hook | None:
    hooks = _of_group(assembly, group, HOOK)
    if len(hooks) > 1:
        raise Refused(f"{_where(group)}: has more than one lifecycle hook")
    for hook in hooks:
        is_ = _properties(hook)
        if is_["LifecycleTransition"] != "autoscaling:EC2_INSTANCE_TERMINATING":
            raise Refused(f"{_where(hook)}: the twin does not know {is_['LifecycleTransition']}")
        return Hook(heartbeat_seconds=int(is_.get("HeartbeatTimeout", 3600)))
    return None


def _hook_name(hook: Resource) -> str:
    return str(hook.properties.get("LifecycleHookName", hook.logical_id))


def _targets(assembly: Assembly, group: Resource) -> Targets | None:
    for value in group.properties.get("TargetGroupARNs", []):
        targets = assembly.follow(group.stack, value)
        if targets is None:
            raise Refused(f"{_where(group)}: its TargetGroupARNs lead to no target group")
        is_ = _properties(targets)
        attributes = {it["Key"]: str(it["Value"]) for it in is_.get("TargetGroupAttributes", [])}
        for threshold in ("HealthyThresholdCount", "UnhealthyThresholdCount"):
            if not 2 <= int(is_.get(threshold, 2)) <= 10:
                raise Refused(
                    f"{_where(targets)}: {threshold} {is_[threshold]}: it is 2 to 10, one check is no opinion"
                )
        unknown = [
            f"{key} = {it}" for key, it in attributes.items() if key != _DRAINING and _ATTRIBUTES.get(key) != it
        ]
        if unknown:
            raise Refused(f"{_where(targets)}: the twin does not know {', '.join(unknown)}")
        return Targets(
            interval_seconds=int(is_.get("HealthCheckIntervalSeconds", 30)),
            timeout_seconds=int(is_.get("HealthCheckTimeoutSeconds", 5)),
            healthy_after=int(is_.get("HealthyThresholdCount", 5)),
            unhealthy_after=int(is_.get("UnhealthyThresholdCount", 2)),
            draining_seconds=int(attributes.get(_DRAINING, 300)),
        )
    return None


def _launch(assembly: Assembly, group: Resource) -> Mapping[str, Any]:
    """Return what instances are launched with; CPU is reported once a minute only with detailed monitoring."""
    template = assembly.follow(group.stack, group.properties.get("LaunchTemplate", {}).get("LaunchTemplateId"))
    data: Mapping[str, Any] = template.properties["LaunchTemplateData"] if template else {}
    if not data.get("Monitoring", {}).get("Enabled"):
        raise Refused(
            f"{_where(group)}: its LaunchTemplate has no detailed monitoring, so that CPU comes every 5 min"
        )
    return data


def _protects(assembly: Assembly, group: Resource) -> bool:
    """Whether a busy worker may protect its instance: a borrowed role may, one of our own as its policies say."""
    policies = [it for it in assembly.resources("AWS::IAM::Policy") if it.stack == group.stack]
    return not policies or any("autoscaling:SetInstanceProtection" in json.dumps(it.properties) for it in policies)


def _of_group(assembly: Assembly, group: Resource, type_: str) -> list[Resource]:
    found = assembly.resources(type_)
    return [it for it in found if assembly.follow(it.stack, it.properties["AutoScalingGroupName"]) == group]


def _properties(resource: Resource) -> Mapping[str, Any]:
    """Return the properties of a resource if all of them are known; raises Refused."""
    acted_on, harmless = _PROPERTIES[resource.type]
    _check_known(resource, resource.properties, [*acted_on.split(), *harmless.split()])
    return resource.properties


def _check_known(resource: Resource, given: Collection[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise Refused(f"{_where(resource)}: {name}: {_WHY_NOT.get(name, 'nothing that the twin acts on')}")


def _where(resource: Resource) -> str:
    return f"{resource.stack} {resource.logical_id}"
