"""`python -m ops cost`, on templates that a synthesis or an account has."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from anb.timings import Timings
from deploy.account import Account
from ops import cost
from ops.__main__ import main
from ops.account import desk
from ops.account.bill import Bill, report, sentence
from stacks.names import Names

NOW = datetime(2026, 11, 26, 14, tzinfo=UTC)
SUBNET = {"Type": "AWS::EC2::Subnet", "Properties": {"MapPublicIpOnLaunch": True}}
LAUNCH = {
    "Type": "AWS::EC2::LaunchTemplate",
    "Properties": {
        "LaunchTemplateData": {
            "InstanceType": "t3.small",
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3"}}],
        }
    },
}
GROUP = {
    "Type": "AWS::AutoScaling::AutoScalingGroup",
    "Properties": {"MinSize": "1", "MaxSize": "3", "VPCZoneIdentifier": [{"Ref": "Subnet"}]},
}
DATABASE = {
    "Type": "AWS::RDS::DBInstance",
    "Properties": {"DBInstanceClass": "db.t3.micro", "AllocatedStorage": "20", "MultiAZ": False},
}
TEMPLATES = {
    "AnbWorker": {"Resources": {"Subnet": SUBNET, "Launch": LAUNCH, "Group": GROUP}},
    "AnbData": {"Resources": {"Database": DATABASE}},
}
RESULTS = {
    "summary": {
        "cells": {"50mb-2p": {"saturation": {"videos_per_minute": 6.0}}},
        "totals": {"best": {"name": "50mb-2p"}},
        "pipelines": {"50mb": {"worker": {"megabytes": 6.0}}},
    }
}


class FakeSession:
    """What an account of one fleet and a database is asked, as boto3 calls it, and answers."""

    def __init__(self, templates, *, instances=0, database="available", deployed_at=NOW, minutes=None):
        self._templates, self._instances, self._database = templates, instances, database
        self._deployed_at, self._minutes = deployed_at, minutes or {}
        self.region_name = "us-east-1"

    def client(self, _service, **_settings):
        return self

    def get_caller_identity(self):
        return {"Account": "123456789012"}

    def describe_stacks(self, *, StackName):  # noqa: N803 as boto3 calls it
        if StackName not in self._templates:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "CreationTime": self._deployed_at}]}

    def get_template(self, *, StackName):  # noqa: N803 as boto3 calls it
        return {"TemplateBody": json.dumps(self._templates[StackName])}

    def describe_stack_resource(self, *, StackName, LogicalResourceId):  # noqa: N803 as boto3 calls it
        return {"StackResourceDetail": {"PhysicalResourceId": f"{StackName}-{LogicalResourceId}"}}

    def describe_auto_scaling_groups(self, *, AutoScalingGroupNames):  # noqa: N803 as boto3 calls it
        (name,) = AutoScalingGroupNames
        return {"AutoScalingGroups": [{"AutoScalingGroupName": name, "Instances": [{}] * self._instances}]}

    def describe_db_instances(self, *, DBInstanceIdentifier):  # noqa: ARG002, N803 as boto3 calls it
        return {"DBInstances": [{"DBInstanceStatus": self._database}]}

    def get_paginator(self, _operation):
        return self

    def paginate(self, *, MetricDataQueries, StartTime, EndTime):  # noqa: N803 as boto3 calls it
        assert (StartTime, EndTime) == (self._deployed_at, NOW)
        for query in MetricDataQueries:
            asked = query["MetricStat"]
            name = asked["Metric"]["Dimensions"][0]["Value"]
            values = self._minutes.get((name, asked["Metric"]["MetricName"], asked["Stat"]), [])
            yield {"MetricDataResults": [{"Id": query["Id"], "Values": [value]} for value in values]}


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Ask for the cost with a plan in place; return the exit code and what was printed."""
    folder = tmp_path / "academy"
    folder.mkdir()
    for stack, template in TEMPLATES.items():
        (folder / f"{stack}.template.json").write_text(json.dumps(template))
    (tmp_path / "worker.json").write_text(json.dumps(RESULTS))
    monkeypatch.setattr(cost, "TEMPLATES", tmp_path)
    monkeypatch.setattr(cost, "RESULTS", tmp_path / "worker.json")

    def call(*arguments):
        code = main(["cost", *arguments], Timings())
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def deploy(monkeypatch, templates, **account):
    session = FakeSession(templates, **account)
    monkeypatch.setattr(desk, "open_account", lambda region, *, chosen: Account(session=session, region=region))  # noqa: ARG005


def test_a_plan_has_a_bill_for_the_least_and_the_most_instances(call):
    code, printed = call("--json")

    bills = json.loads(printed)["bills"]
    hours = {name: bill["lines"][0]["quantity"] for name, bill in bills.items()}
    assert code == 0
    assert hours == {"at least": 730, "at most": 3 * 730}
    each = 730 * 0.0208 + 30 * 0.08 + 730 * 0.005
    assert bills["at most"]["usd_a_month"] - bills["at least"]["usd_a_month"] == pytest.approx(2 * each)


def test_what_is_deployed_is_reckoned_with_the_instances_that_there_are(call, monkeypatch):
    deploy(monkeypatch, TEMPLATES, instances=2)

    code, printed = call("--deployed", "--json")

    bill = json.loads(printed)["bills"]["now"]
    assert code == 0
    assert bill["lines"][0]["what"] == "AnbWorker t3.small"
    assert bill["lines"][0]["quantity"] == 2 * 730
    assert any(line["what"] == "database db.t3.micro" for line in bill["lines"])


def test_an_account_without_the_system_is_told_in_a_sentence(call, monkeypatch):
    deploy(monkeypatch, {})

    assert call("--deployed") == (1, "ops: no stack of Anb is deployed in us-east-1\n")


def test_a_plan_without_templates_says_how_to_make_them(call):
    assert call("--profile", "production") == (1, "ops: there are no templates of production: run make synth first\n")


def test_videos_add_what_they_use_and_what_a_thousand_of_them_cost(call):
    _, without = call("--json")
    _, with_videos = call("--json", "--videos", "10000")

    before, after = (json.loads(printed)["bills"]["at least"] for printed in (without, with_videos))
    assert after["usd_a_month"] > before["usd_a_month"]
    assert after["usd_per_thousand_videos"] == pytest.approx(after["usd_a_month"] / 10)


def test_people_get_a_table_with_the_total_and_the_ways_to_process(call):
    code, printed = call()

    assert code == 0
    assert "together" in printed
    assert "t3.small unlimited" in printed


# ---- an hour, and since the deployment

INSTANCE_HOUR = 0.0208 + 0.005 + 30 * 0.08 / 730
STORAGE_HOUR = 20 * 0.115 / 730


def bill(**account):
    return Bill(Account(session=FakeSession(TEMPLATES, **account), region="us-east-1"), Names("Anb"))


def test_an_hour_costs_what_runs_in_it():
    lines = bill(instances=2).an_hour()

    assert sum(lines.values()) == pytest.approx(2 * INSTANCE_HOUR + 0.017 + STORAGE_HOUR)


def test_at_rest_what_is_kept_still_costs_and_what_costs_nothing_is_left_out():
    assert bill(instances=0, database="stopped").an_hour() == {"database storage": pytest.approx(STORAGE_HOUR)}


def test_since_the_deployment_each_thing_costs_the_hours_that_it_ran():
    minutes = {  # two instances for an hour and one for another; the database for three hours of ten
        ("AnbWorker-Group", "GroupTotalInstances", "Sum"): [120, 60],
        ("anb-database", "CPUUtilization", "SampleCount"): [60, 60, 60],
    }
    account = bill(deployed_at=NOW - timedelta(hours=10), minutes=minutes)

    assert account.since_deployment(NOW) == pytest.approx(3 * INSTANCE_HOUR + 3 * 0.017 + 10 * STORAGE_HOUR)


def test_what_has_no_price_is_told_instead_of_a_cost():
    launch = {"Type": LAUNCH["Type"], "Properties": {"LaunchTemplateData": {"InstanceType": "x9.huge"}}}
    templates = {"AnbWorker": {"Resources": {"Subnet": SUBNET, "Launch": launch, "Group": GROUP}}}
    found = report(Account(session=FakeSession(templates), region="us-east-1"), Names("Anb"))

    assert found["cost"] is None
    assert sentence(found).startswith("What it costs is not known: there is no price or speed of x9.huge")
