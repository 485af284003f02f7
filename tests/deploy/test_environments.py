"""Two environments in one account are deployed, operated and destroyed without each other's notice.

The tests share one account and run in this order.
"""

import pytest

from stacks.names import Names

TEST = "prefix=Test"
USUAL, OTHER = Names("Anb"), Names("Test")


@pytest.fixture(scope="module")
def account(lab):
    """An account with both."""
    for settings in ((), (TEST,)):
        lab.deploy("bootstrap", *settings)
        lab.said.append(lab.deploy("up", *settings))
    return lab


def all_stacks(names):
    """Return those of an environment without a load generator."""
    return {*names.stacks, names.bootstrap} - {names.load}


def stacks(lab):
    found = lab.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"}


def buckets(lab):
    return {bucket["Name"].partition("-")[0] for bucket in lab.client("s3").list_buckets()["Buckets"]}


def databases(lab):
    return {it["DBInstanceIdentifier"] for it in lab.client("rds").describe_db_instances()["DBInstances"]}


def groups(lab):
    found = lab.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {group["AutoScalingGroupName"] for group in found}


def test_both_stand_beside_each_other(account):
    both = (USUAL, OTHER)

    assert stacks(account) == {name for names in both for name in all_stacks(names)}
    assert databases(account) == {names.database_instance for names in both}
    assert {names.worker_group for names in both} < groups(account)
    assert account.said[0].splitlines()[-1] != account.said[1].splitlines()[-1]


def test_each_finds_its_own_database(account):
    ssm = account.client("ssm")
    arns = [ssm.get_parameter(Name=names.database_parameter)["Parameter"]["Value"] for names in (USUAL, OTHER)]

    assert [name.database_secret in arn for name, arn in zip((USUAL, OTHER), arns, strict=True)] == [True, True]


def test_one_is_deployed_again_and_the_other_is_not_touched(account):
    said = account.deploy("up", TEST, "owner=ana")

    assert "TestWeb" in said
    assert "AnbWeb" not in said


def test_the_database_of_one_is_destroyed_alone(account):
    account.deploy("database-down", TEST, "--yes")

    assert databases(account) == {USUAL.database_instance}


def left_behind(lab, place):
    """Start an instance that no stack knows of, with the name that CDK gives what it starts."""
    named = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": place}]}
    started = lab.client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, TagSpecifications=[named])
    return started["Instances"][0]["InstanceId"]


def test_one_is_destroyed_and_the_other_stays(account):
    usual, other = left_behind(account, "AnbWeb/Fleet/Group"), left_behind(account, "TestWeb/Fleet/Group")

    said = account.deploy("down", TEST, "--yes")

    assert stacks(account) == {*all_stacks(USUAL), OTHER.bootstrap}
    assert buckets(account) == {"anbmedia", "anbnetwork", "anb", "test"}
    assert f"Left: instance {other}" in said
    assert usual not in said
