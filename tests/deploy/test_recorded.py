"""What is fetched of a run on AWS."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from deploy.account import Account
from deploy.errors import Missing
from deploy.preflight import Target
from deploy.recorded import fetch
from stacks.profiles import ACADEMY

BEGIN = datetime(2026, 11, 26, 18, 0, tzinfo=UTC)
MINUTES = 20
WEB_GROUP = "AnbWeb-Group-1"
MADE = {
    "AWS::AutoScaling::AutoScalingGroup": WEB_GROUP,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/Anb/0a1b",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/Anb/2c3d",
}
CAUSE = (
    "At 2026-11-26T18:04:00Z a monitor alarm Behind in state ALARM triggered policy More changing the desired "
    "capacity from 1 to 3.  At 2026-11-26T18:04:02Z an instance was started in response to a difference between "
    "desired and actual capacity, increasing the capacity from 1 to 3."
)


class Stubbed:
    """Clients whose answers a test writes down beforehand."""

    def __init__(self) -> None:
        self._session: Any = boto3.session.Session("key", "secret", region_name="us-east-1")
        self._stubs: dict[str, Stubber] = {}

    def client(self, service: str, **_settings: Any) -> Any:
        return self._stub(service).client

    def answer(self, service: str, call: str, answer: dict[str, Any], asked: Any = None) -> None:
        self._stub(service).add_response(call, answer, asked)

    def _stub(self, service: str) -> Stubber:
        if service not in self._stubs:
            self._stubs[service] = Stubber(self._session.client(service))
            self._stubs[service].activate()
        return self._stubs[service]


@pytest.fixture
def aws():
    return Stubbed()


@pytest.fixture
def target(aws):
    return Target(profile=ACADEMY, account=Account(session=aws, region="us-east-1"), number="1")


def at(minutes):
    return BEGIN + timedelta(minutes=minutes)


def launch(instance, minute, zone="us-east-1a", cause=""):
    return activity(f"Launching a new EC2 instance: {instance}", minute, 2, zone, cause)


def end(instance, minute, zone="us-east-1a"):
    return activity(f"Terminating EC2 instance: {instance}", minute, 1, zone)


def activity(description, minute, takes, zone, cause=""):
    return {
        "ActivityId": f"{description} {minute}",
        "AutoScalingGroupName": "group",
        "Description": description,
        "Cause": cause or "somebody asked for it",
        "StartTime": at(minute),
        "EndTime": at(minute + takes),
        "StatusCode": "Successful",
        "Details": json.dumps({"Subnet ID": "subnet-1", "Availability Zone": zone}),
    }


def metric(name, values):
    """Return the result for a metric whose values are by minute; a minute without one has no point."""
    return {"Id": name, "Timestamps": [at(minute) for minute in values], "Values": [*map(float, values.values())]}


def exists(aws, made=MADE):
    aws.answer("cloudformation", "get_template", {"TemplateBody": json.dumps({"Resources": {}})})
    found = [
        {
            "LogicalResourceId": type_.rpartition(":")[2],
            "PhysicalResourceId": id_,
            "ResourceType": type_,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": BEGIN,
        }
        for type_, id_ in made.items()
    ]
    aws.answer("cloudformation", "list_stack_resources", {"StackResourceSummaries": found}, {"StackName": "AnbWeb"})


@pytest.fixture
def told(aws, target):
    """What is fetched of a burst of six videos."""
    exists(aws)
    first = [
        metric("sent", {2: 6}),
        metric("visible", {2: 4}),
        metric("in_flight", {2: 2, 3: 2}),
        metric("failed", {4: 6}),
    ]
    second = [metric("deleted", {3: 2, 5: 4}), metric("requests", {4: 60}), metric("workers_desired", {4: 3.0})]
    asked = {"MetricDataQueries": ANY, "StartTime": BEGIN, "EndTime": at(MINUTES)}
    aws.answer("cloudwatch", "get_metric_data", {"MetricDataResults": first, "NextToken": "more"}, asked)
    aws.answer("cloudwatch", "get_metric_data", {"MetricDataResults": second}, asked | {"NextToken": "more"})
    web = [launch("i-web", -30), launch("i-gone", -90), end("i-gone", -40)]
    workers = [
        end("i-1", 15),
        launch("i-3", 4, "us-east-1b", CAUSE),
        launch("i-2", 4, "us-east-1a", CAUSE),
        launch("i-1", -30),
    ]
    for group, found in ((WEB_GROUP, web), ("anb-workers", workers)):
        aws.answer(
            "autoscaling", "describe_scaling_activities", {"Activities": found}, {"AutoScalingGroupName": group}
        )
    for group, least in ((WEB_GROUP, 2), ("anb-workers", 1)):
        it = {
            "AutoScalingGroupName": group,
            "MinSize": least,
            "MaxSize": 3,
            "DesiredCapacity": 1,
            "DefaultCooldown": 300,
            "AvailabilityZones": ["us-east-1a"],
            "HealthCheckType": "EC2",
            "CreatedTime": BEGIN,
        }
        asked = {"AutoScalingGroupNames": [group]}
        aws.answer("autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroups": [it]}, asked)
    return fetch(target, begin=BEGIN.replace(second=30), minutes=MINUTES)


def test_videos_come_and_go_within_the_minute_in_which_aws_counted_them(told):
    assert told["accepted_at_seconds"] == [125, 135, 145, 155, 165, 175]
    assert [round(it) for it in told["processed_after_seconds"]] == [70, 90, 162, 168, 172, 178]


def test_a_moment_is_the_end_of_a_minute(told):
    assert len(told["moments"]) == MINUTES
    assert told["moments"][2] == {
        "at_seconds": 180,
        "visible": 4,
        "in_flight": 2,
        "workers_desired": 0,
        "web_desired": 0,
        "workers": {"us-east-1a": 1, "us-east-1b": 0},
        "web": {"us-east-1a": 1},
        "healthy": 0,
        "processed": 0,
        "requests": 0,
        "errors": 0,
    }
    assert told["moments"][5]["workers"] == {"us-east-1a": 2, "us-east-1b": 1}
    assert (told["moments"][5]["processed"], told["moments"][5]["errors"]) == (6, 6)
    assert told["moments"][15]["workers"] == {"us-east-1a": 1, "us-east-1b": 1}


def test_events_are_what_the_groups_did_in_their_order(told):
    workers = [(it["at_seconds"], it["what"]) for it in told["events"] if it["fleet"] == "workers"]

    assert workers == [
        (0, "launch"),
        (240, "desired 1 -> 3 by More"),
        (240, "launch"),
        (240, "launch"),
        (900, "announce"),
        (960, "ended"),
    ]
    assert [it["instance"] for it in told["events"] if it["fleet"] == "web"] == ["i-web"]


def test_instances_cost_from_their_launch_to_their_end_within_the_record(told):
    assert told["instance_seconds"] == {"web": 1200, "workers": 960 + 2 * 960}
    assert told["sizes"] == {"web": (2, 3), "workers": (1, 3)}


def test_answers_are_spread_over_their_minute(told):
    assert told["answers_by_second"][240] == {"2xx": 0.9, "5xx": 0.1}
    assert len(told["answers_by_second"]) == 60


def test_a_system_that_is_not_there_has_no_record(aws, target):
    exists(aws, {})

    with pytest.raises(Missing, match="AnbWeb has no load balancer"):
        fetch(target, begin=BEGIN, minutes=MINUTES)
