"""The workers, how many there are, and how one ends."""

import json
import re
from dataclasses import replace

import pytest

from anb.timings import Timings
from stacks import names
from stacks.constructs.user_data import MAX_BYTES
from stacks.profiles import ACADEMY, NONE, PRODUCTION, FleetSize
from stacks.rules.promises import longest_bytes

FLEETS = ["AnbWeb", "AnbWorker"]


def policies(synthesis):
    found = synthesis.assembly.resources("AWS::AutoScaling::ScalingPolicy")
    return {it.logical_id[:-8]: it.properties for it in found if it.stack == "AnbWorker"}


def alarms(synthesis):
    found = synthesis.assembly.resources("AWS::CloudWatch::Alarm")
    return {it.logical_id[:-8]: it.properties for it in found if it.stack == "AnbWorker"}


def launch(synthesis, stack):
    return synthesis.assembly.only(stack, "AWS::EC2::LaunchTemplate").properties["LaunchTemplateData"]


def group(synthesis, stack):
    return synthesis.assembly.only(stack, "AWS::AutoScaling::AutoScalingGroup")


def test_there_are_one_to_three_workers_in_two_zones(synthesis):
    made_of = group(synthesis, "AnbWorker").properties

    assert (made_of["MinSize"], made_of["MaxSize"]) == ("1", "3")
    assert len(made_of["VPCZoneIdentifier"]) == 2


JOBS = "(visible + IF(visible >= 0, inflight, 0))"


def measured(alarm):
    """Return the expression that an alarm looks at, and the metrics that it names."""
    (returned,) = [it["Expression"] for it in alarm["Metrics"] if it.get("ReturnData", True)]
    names = {it["Id"]: it["MetricStat"]["Metric"]["MetricName"] for it in alarm["Metrics"] if "MetricStat" in it}
    return returned, names


def test_workers_follow_the_jobs_of_each_instance(synthesis):
    behind, more = alarms(synthesis)["ScalingBehind"], policies(synthesis)["ScalingMore"]
    expression, measures = measured(behind)

    assert measures == {
        "visible": "ApproximateNumberOfMessagesVisible",
        "inflight": "ApproximateNumberOfMessagesNotVisible",
        "capacity": "GroupInServiceInstances",
    }
    assert expression == f"{JOBS} / (IF(capacity < 1, 1, capacity) * IF(visible >= 0, 1, 1))"
    assert (behind["ComparisonOperator"], behind["Threshold"]) == ("GreaterThanOrEqualToThreshold", 22)
    assert (behind["EvaluationPeriods"], behind["DatapointsToAlarm"]) == (3, 1)
    assert [
        (step["MetricIntervalLowerBound"], step.get("MetricIntervalUpperBound"), step["ScalingAdjustment"])
        for step in more["StepAdjustments"]
    ] == [(0, 12, 1), (12, None, 2)]


def test_workers_end_one_by_one_while_the_others_could_do_what_there_is(synthesis):
    spare = alarms(synthesis)["ScalingSpare"]
    steps = {id_: it.get("StepAdjustments", []) for id_, it in policies(synthesis).items()}

    assert [id_ for id_, its in steps.items() if any(it["ScalingAdjustment"] < 0 for it in its)] == ["ScalingFewer"]
    assert steps["ScalingFewer"] == [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1}]
    assert measured(spare)[0] == f"{JOBS} / ((capacity - 1) * IF(visible >= 0, 1, 1))"
    assert (spare["ComparisonOperator"], spare["Threshold"]) == ("LessThanThreshold", 3)
    assert (spare["EvaluationPeriods"], spare["DatapointsToAlarm"]) == (5, 5)
    assert spare["TreatMissingData"] == "missing"


def test_more_workers_on_an_instance_have_more_jobs_of_their_own(write):
    double = write(replace(ACADEMY, instance_type="t3.medium", worker_processes=4))
    thresholds = {
        it.properties["Threshold"] for it in double.resources("AWS::CloudWatch::Alarm") if it.stack == "AnbWorker"
    }

    assert thresholds == {44, 6}


def test_what_the_policy_measures_is_published(synthesis):
    (collected,) = group(synthesis, "AnbWorker").properties["MetricsCollection"]

    assert collected == {"Granularity": "1Minute"}  # all of them


def test_a_worker_is_waited_for_without_a_role(synthesis):
    hook = synthesis.assembly.only("AnbWorker", "AWS::AutoScaling::LifecycleHook").properties

    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (300, "CONTINUE")
    assert hook["HeartbeatTimeout"] > 2 * Timings().lifecycle_heartbeat_seconds
    assert (hook["LifecycleHookName"], "RoleARN" in hook) == (names.TERMINATION_HOOK, False)


def test_a_worker_is_told_its_group_and_its_hook(synthesis):
    script = json.dumps(launch(synthesis, "AnbWorker")["UserData"])

    assert ACADEMY.names.worker_group in script
    assert names.TERMINATION_HOOK in script
    assert group(synthesis, "AnbWorker").properties["AutoScalingGroupName"] == ACADEMY.names.worker_group


def test_no_worker_is_protected_from_the_start(synthesis):
    assert not group(synthesis, "AnbWorker").properties.get("NewInstancesProtectedFromScaleIn")


@pytest.mark.parametrize("stack", FLEETS)
def test_an_instance_is_what_the_business_decided_on(synthesis, stack):
    (volume,) = launch(synthesis, stack)["BlockDeviceMappings"]

    assert launch(synthesis, stack)["InstanceType"] == "t3.small"
    assert volume["Ebs"] == {"Encrypted": True, "VolumeSize": 30, "VolumeType": "gp3"}


@pytest.mark.parametrize("stack", FLEETS)
def test_an_instance_is_watched_every_minute_and_has_no_key(synthesis, stack):
    data = launch(synthesis, stack)

    assert data["Monitoring"] == {"Enabled": True}
    assert data["MetadataOptions"] == {"HttpPutResponseHopLimit": 1, "HttpTokens": "required"}
    assert "KeyName" not in data


@pytest.mark.parametrize("stack", FLEETS)
def test_the_lab_lends_its_role(academy, stack):
    assert (
        launch(academy, stack)["IamInstanceProfile"]["Arn"]["Fn::Join"][1][-1]
        == ":instance-profile/LabInstanceProfile"
    )


@pytest.mark.parametrize("stack", FLEETS)
def test_an_update_replaces_one_after_the_other(synthesis, stack):
    definition = group(synthesis, stack).definition
    rolling = definition["UpdatePolicy"]["AutoScalingRollingUpdate"]

    assert rolling["MaxBatchSize"] == 1
    assert rolling["WaitOnResourceSignals"] is True
    assert 1 <= rolling["MinInstancesInService"] < int(definition["Properties"]["MaxSize"])
    assert "AZRebalance" in rolling["SuspendProcesses"]
    assert definition["CreationPolicy"]["ResourceSignal"]["Count"] == int(definition["Properties"]["MinSize"])


@pytest.mark.parametrize("profile", [ACADEMY, PRODUCTION], ids=lambda profile: profile.name)
def test_a_fleet_of_none_is_waited_for_by_nobody(write, profile):
    written = write(replace(profile, workers=NONE))
    definition = written.only("AnbWorker", "AWS::AutoScaling::AutoScalingGroup").definition

    assert (definition["Properties"]["MinSize"], definition["Properties"]["MaxSize"]) == ("0", "0")
    assert "CreationPolicy" not in definition
    assert "AutoScalingRollingUpdate" not in definition["UpdatePolicy"]


@pytest.mark.parametrize("size", [NONE, FleetSize(at_least=2, at_most=2)], ids=str)
def test_a_fleet_of_one_size_tracks_no_target(write, size):
    assembly = write(replace(PRODUCTION, workers=size))

    assert [
        found for found in assembly.resources("AWS::AutoScaling::ScalingPolicy") if found.stack == "AnbWorker"
    ] == []


@pytest.mark.parametrize("stack", FLEETS)
def test_the_resource_that_is_signalled_is_the_group(synthesis, stack):
    assert f"--resource {group(synthesis, stack).logical_id}" in json.dumps(launch(synthesis, stack)["UserData"])


@pytest.mark.parametrize("stack", FLEETS)
def test_user_data_is_short_and_complete(synthesis, stack):
    script = launch(synthesis, stack)["UserData"]["Fn::Base64"]
    written = "".join(part for part in script["Fn::Join"][1] if isinstance(part, str))

    assert not re.search("@[A-Z]", written)
    assert len(written.encode()) < 2048
    assert longest_bytes(script) < MAX_BYTES


@pytest.mark.parametrize("stack", FLEETS)
def test_logs_are_forgotten_in_time(academy, production, stack):
    kept = [
        s.assembly.only(stack, "AWS::Logs::LogGroup").properties["RetentionInDays"] for s in (academy, production)
    ]

    assert kept == [7, 90]


def test_everything_is_tagged(synthesis):
    for type_ in ("AWS::EC2::VPC", "AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::SQS::Queue"):
        tagged = list(synthesis.assembly.resources(type_))
        assert tagged, type_
        for found in tagged:
            keys = {tag["Key"] for tag in found.properties["Tags"]}
            assert keys >= {"project", "profile", "owner", "cost-centre"}
