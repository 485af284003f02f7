"""What the fleets did on AWS, as the twin keeps a story's run: to be drawn like one, and played again.

Metrics come from GetMetricData, a point a minute; what the groups did from DescribeScalingActivities. AWS keeps no
time of each video: the first message that was sent is taken for the first that was deleted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from deploy import cloudformation
from deploy.errors import Missing
from deploy.preflight import Target

_MINUTE = 60
_GROUP = "AWS::AutoScaling::AutoScalingGroup"
_BALANCER, _TARGETS = (f"AWS::ElasticLoadBalancingV2::{it}" for it in ("LoadBalancer", "TargetGroup"))
_LAUNCH, _END = re.compile(r"Launching a new EC2 instance: (\S+)"), re.compile(r"Terminating EC2 instance: (\S+)")
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-viewing-scaling-history.html
_CHANGE = re.compile(
    r"At (\S+Z) a monitor alarm \S+ in state ALARM triggered policy (\S+) "
    r"changing the desired capacity from (\d+) to (\d+)"
)


@dataclass
class _Instance:
    """An instance's life, in seconds since the begin of the record, both ends of it maybe outside."""

    id: str
    zone: str
    launched_at: float
    leaves_at: float = float("inf")
    ended_at: float = float("inf")


def fetch(target: Target, *, begin: datetime, minutes: int) -> dict[str, Any]:
    """Return what both fleets did from `begin` for so many minutes, as `twin.stage.Stage.told` describes it.

    An instance counts from its launch until it is told to end. Raises Missing if there is no load balancer.
    """
    begin = begin.replace(second=0, microsecond=0)
    web = {it.type: it.id for it in cloudformation.resources(target.account, target.names.web)}
    if _BALANCER not in web:
        raise Missing(f"{target.names.web} has no load balancer: there is nothing that could be recorded.")
    groups = {"web": web[_GROUP], "workers": target.names.worker_group}
    series = _series(target, web, begin=begin, minutes=minutes)
    activities = {fleet: _activities(target, group) for fleet, group in groups.items()}
    instances = {fleet: _instances(found, begin) for fleet, found in activities.items()}
    sent, deleted = _spread(series["sent"]), _spread(series["deleted"])
    events = [it for fleet in groups for it in _events(fleet, activities[fleet], instances[fleet], begin)]
    return {
        "story": f"AWS, {begin:%Y-%m-%d %H:%M} UTC",
        "sentence": f"What {target.profile.name} did in {target.account.region}.",
        "templates": target.profile.name,
        "notes": [],
        "moments": [_moment(series, instances, minute) for minute in range(minutes)],
        "events": sorted(
            (it for it in events if 0 <= it["at_seconds"] <= minutes * _MINUTE), key=lambda it: it["at_seconds"]
        ),
        "answers_by_second": _answers(series),
        "accepted_at_seconds": sent,
        "processed_after_seconds": [max(0.0, done - at) for at, done in zip(sent, deleted, strict=False)],
        "instance_seconds": {fleet: _spent(found, minutes * _MINUTE) for fleet, found in instances.items()},
        "sizes": {fleet: _size(target, group) for fleet, group in groups.items()},
        "requests_per_target": None,
    }


def _series(target: Target, web: Mapping[str, str], *, begin: datetime, minutes: int) -> dict[str, list[float]]:
    """Return a value for each minute of each metric, 0 where there is none."""
    queue = {"QueueName": target.names.job_queue}
    balancer = {"LoadBalancer": web[_BALANCER].partition("loadbalancer/")[2]}
    targets = balancer | {"TargetGroup": web[_TARGETS].rpartition(":")[2]}
    group = "AutoScalingGroupName"
    metrics = {
        "visible": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", queue),
        "in_flight": ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "Maximum", queue),
        "sent": ("AWS/SQS", "NumberOfMessagesSent", "Sum", queue),
        "deleted": ("AWS/SQS", "NumberOfMessagesDeleted", "Sum", queue),
        "workers_desired": (
            "AWS/AutoScaling",
            "GroupDesiredCapacity",
            "Average",
            {group: target.names.worker_group},
        ),
        "web_desired": ("AWS/AutoScaling", "GroupDesiredCapacity", "Average", {group: web[_GROUP]}),
        "healthy": ("AWS/ApplicationELB", "HealthyHostCount", "Average", targets),
        "requests": ("AWS/ApplicationELB", "RequestCount", "Sum", balancer),
        "refused": ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", balancer),
        "failed": ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", balancer),
    }
    found = {name: [0.0] * minutes for name in metrics}
    pages = target.account.client("cloudwatch").get_paginator("get_metric_data")
    for page in pages.paginate(
        MetricDataQueries=[_query(name, *metric) for name, metric in metrics.items()],
        StartTime=begin,
        EndTime=begin + timedelta(minutes=minutes),
    ):
        for result in page["MetricDataResults"]:
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                found[result["Id"]][int((at - begin).total_seconds() // _MINUTE)] = value
    return found


def _query(name: str, namespace: str, metric: str, statistic: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    measured = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": name, "MetricStat": {"Metric": measured, "Period": _MINUTE, "Stat": statistic}}


def _activities(target: Target, group: str) -> list[Mapping[str, Any]]:
    """Return what the group has done, the oldest first."""
    pages = target.account.client("autoscaling").get_paginator("describe_scaling_activities")
    found = [it for page in pages.paginate(AutoScalingGroupName=group) for it in page["Activities"]]
    return sorted(found, key=lambda it: it["StartTime"])


def _instances(activities: Sequence[Mapping[str, Any]], begin: datetime) -> list[_Instance]:
    by_id: dict[str, _Instance] = {}
    for it in activities:
        at = (it["StartTime"] - begin).total_seconds()
        if it["StatusCode"] != "Failed" and (launched := _LAUNCH.match(it["Description"])):
            zone = json.loads(it["Details"])["Availability Zone"]
            by_id[launched[1]] = _Instance(launched[1], zone, at)
        elif (ends := _END.match(it["Description"])) and ends[1] in by_id:
            by_id[ends[1]].leaves_at = at
            if "EndTime" in it:
                by_id[ends[1]].ended_at = (it["EndTime"] - begin).total_seconds()
    return list(by_id.values())


def _events(
    fleet: str, activities: Sequence[Mapping[str, Any]], instances: Sequence[_Instance], begin: datetime
) -> Iterator[dict[str, Any]]:
    """Yield what happened to a fleet. Several activities may tell of the same change of the size that is wanted."""
    changes = {change.groups() for it in activities if (change := _CHANGE.search(it["Cause"]))}
    for at, policy, before, after in changes:
        seconds = (datetime.fromisoformat(at) - begin).total_seconds()
        yield _event(fleet, seconds, f"desired {before} -> {after} by {policy}")
    for it in instances:
        if it.ended_at > 0:  # who is there at the begin comes to work then, as in a replay
            yield _event(fleet, max(0.0, it.launched_at), "launch", it.id)
        yield _event(fleet, it.leaves_at, "announce", it.id)
        yield _event(fleet, it.ended_at, "ended", it.id)


def _event(fleet: str, at: float, what: str, instance: str = "") -> dict[str, Any]:
    return {"fleet": fleet, "at_seconds": at, "what": what, "instance": instance}


def _moment(
    series: Mapping[str, Sequence[float]], instances: Mapping[str, Sequence[_Instance]], minute: int
) -> dict[str, Any]:
    at = (minute + 1) * _MINUTE
    values = {
        name: round(series[name][minute]) for name in ("visible", "in_flight", "workers_desired", "web_desired")
    }
    until = {name: round(sum(series[name][: minute + 1])) for name in ("deleted", "requests", "refused", "failed")}
    zones = {fleet: dict.fromkeys(sorted({it.zone for it in found}), 0) for fleet, found in instances.items()}
    for fleet, found in instances.items():
        for it in found:
            zones[fleet][it.zone] += it.launched_at <= at < it.leaves_at
    return {
        "at_seconds": at,
        **values,
        **zones,
        "healthy": round(series["healthy"][minute]),
        "processed": until["deleted"],
        "requests": until["requests"],
        "errors": until["refused"] + until["failed"],
    }


def _answers(series: Mapping[str, Sequence[float]]) -> dict[int, dict[str, float]]:
    """Return the answers of each second, a sixtieth of the minute's; `RequestCount` is what reached a target."""
    found: dict[int, dict[str, float]] = {}
    for minute, (all_, failed, refused) in enumerate(
        zip(series["requests"], series["failed"], series["refused"], strict=True)
    ):
        answers = {"2xx": max(0.0, all_ - failed) / _MINUTE, "5xx": (failed + refused) / _MINUTE}
        found |= {minute * _MINUTE + second: answers for second in range(_MINUTE) if all_ or refused}
    return found


def _spread(counts: Sequence[float]) -> list[float]:
    """Return a time for each of what was counted by the minute, evenly over that."""
    return [
        round(_MINUTE * (minute + (number + 0.5) / count), 1)
        for minute, count in enumerate(map(round, counts))
        for number in range(count)
    ]


def _spent(instances: Sequence[_Instance], end: float) -> int:
    return round(sum(max(0.0, min(end, it.ended_at) - max(0.0, it.launched_at)) for it in instances))


def _size(target: Target, group: str) -> tuple[int, int]:
    client = target.account.client("autoscaling")
    (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    return found["MinSize"], found["MaxSize"]
