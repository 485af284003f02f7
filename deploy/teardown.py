"""Takes the stacks out of an account; tells beforehand what goes and what stays, and afterwards what is left."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy import buckets, cloudformation
from deploy.account import Account
from deploy.cloudformation import Resource, Stack
from deploy.errors import CannotDeploy
from deploy.preflight import Target
from stacks.names import Names
from stacks.profiles import PROFILES

Say = Callable[[str], None]

DATABASE, LOG_GROUP = "AWS::RDS::DBInstance", "AWS::Logs::LogGroup"
FLEET = "AWS::AutoScaling::AutoScalingGroup"
PROJECT = {"Key": "project", "Value": "anb-rising-stars"}
# List prices of us-east-1: https://aws.amazon.com/s3/pricing/ and https://aws.amazon.com/rds/mysql/pricing/
BY_THE_GB = "0.023 USD a GB and month"
SNAPSHOT_BY_THE_GIB = "0.095 USD a GiB and month"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a destruction takes and what it leaves."""

    target: Target
    is_everything: bool
    stacks: Sequence[Stack]
    resources: Sequence[Resource]
    buckets: Sequence[str]
    """Ours, which go with everything in them: also what `cdk destroy` has left behind."""
    goes: Sequence[str]
    stays: Sequence[str]
    """A sentence each, as in `goes`."""
    can_be_kept: bool
    """Whether there is a database of which nothing would be left, and which is well enough for a snapshot."""


def plan_everything(target: Target) -> Plan:
    """Return what destroying all stacks takes and leaves; raise CannotDeploy for one that is protected or busy."""
    return _plan(target, target.names.stacks)


def plan_database(target: Target) -> Plan:
    """Return what destroying the database alone takes and leaves; raise CannotDeploy as above."""
    return _plan(target, [target.names.data])


def _plan(target: Target, names: Sequence[str]) -> Plan:
    account, is_everything = target.account, names == target.names.stacks
    stacks = cloudformation.existing(account, names)
    cloudformation.check_deletable(stacks)
    resources = [resource for stack in stacks for resource in cloudformation.resources(account, stack.name)]
    going = list(_buckets(target, kept=False)) if is_everything else []
    databases = [resource for resource in resources if resource.type == DATABASE and resource.policy == "Delete"]
    return Plan(
        target=target,
        is_everything=is_everything,
        stacks=stacks,
        resources=resources,
        buckets=going,
        goes=[*_stacks_going(stacks, resources), *(f"bucket {name} with everything in it." for name in going)],
        stays=[
            *_last_snapshot(resources),
            *([] if is_everything else ["every other stack, at its usual cost."]),
            *_left(target, resources, is_everything=is_everything),
        ],
        can_be_kept=bool(databases) and _status(target) == "available",
    )


def _stacks_going(stacks: Sequence[Stack], resources: Sequence[Resource]) -> Iterator[str]:
    if stacks:
        yield f"{', '.join(stack.name for stack in stacks)}: {len(resources)} resources."
    for resource in resources:
        if resource.type == DATABASE:
            yield f"database {resource.id} with every account, video and vote in it."


def _buckets(target: Target, *, kept: bool) -> Iterator[str]:
    """Yield our buckets that are kept, as their profile or the setting mediaBucket says, or those that are not."""
    prefixes = [f"{stack.lower()}-" for stack in target.names.stacks]
    for name, tags in buckets.with_tags(target.account, prefixes):
        profile = PROFILES.get(tags.get("profile", ""))
        if tags.get(PROJECT["Key"]) != PROJECT["Value"] or profile is None:
            continue
        if kept is (profile.keeps_data or name == target.profile.media_bucket):
            yield name


def _last_snapshot(resources: Sequence[Resource]) -> Iterator[str]:
    if any(resource.type == DATABASE and resource.policy == "Snapshot" for resource in resources):
        yield f"a last snapshot of the database, as the profile has it; it costs {SNAPSHOT_BY_THE_GIB}."


def take_snapshot(target: Target, say: Say) -> None:
    """Take a snapshot of the database, and wait for it; raise CannotDeploy where there is none to take."""
    status, instance = _status(target), target.names.database_instance
    if status != "available":
        raise CannotDeploy(
            f"The database is {status or 'not there'}, and a snapshot is taken of an available one alone: "
            f"start it (aws rds start-db-instance --db-instance-identifier {instance}), "
            "or destroy it with --no-snapshot."
        )
    rds, name = target.account.client("rds"), f"{instance}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    say(f"Taking the snapshot {name}: some minutes.")
    rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=name, Tags=[PROJECT])
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=name, WaiterConfig={"Delay": 10, "MaxAttempts": 360}
    )


def _status(target: Target) -> str | None:
    rds = target.account.client("rds")
    try:
        found = rds.describe_db_instances(DBInstanceIdentifier=target.names.database_instance)["DBInstances"]
    except rds.exceptions.DBInstanceNotFoundFault:
        return None
    status: str = found[0]["DBInstanceStatus"]
    return status


def destroy(plan: Plan, say: Say) -> list[str]:
    """Destroy what the plan says; return what is left, a sentence each."""
    account = plan.target.account
    _scale_to_zero(account, [resource.id for resource in plan.resources if resource.type == FLEET])
    for row in plan.target.names.teardown:
        names = [stack.name for stack in plan.stacks if stack.name in row]
        if names:
            say(f"Destroying {', '.join(names)}.")
            cloudformation.delete(account, names)
    _delete_log_groups(account, plan.resources)
    for bucket in plan.buckets:
        say(f"Deleted {bucket} with {buckets.delete(account, bucket)} objects and versions.")
    if plan.is_everything:
        say("All stacks are gone." if plan.goes else "There is no stack of ours.")
        return [
            *_left(plan.target, plan.resources, is_everything=True),
            *billed_resources(account, plan.target.names),
        ]
    say(
        "The database is gone. The site answers, with 503 where it needs one; make deploy brings an empty one."
        if plan.goes
        else "There is no database to destroy."
    )
    return list(_left(plan.target, plan.resources, is_everything=False))


def _left(target: Target, resources: Sequence[Resource], *, is_everything: bool) -> Iterator[str]:
    """Yield what stays, and what that costs."""
    yield from snapshots(target)
    if not is_everything:
        return
    for resource in resources:
        if resource.type == LOG_GROUP and resource.policy == "Retain":
            yield f"log group {resource.id}, which the profile keeps; it costs 0.03 USD a GB and month."
    for name in _buckets(target, kept=True):
        yield f"bucket {name}, which is kept with what is in it; it costs {BY_THE_GB}."
    yield from _assets(target)


def _scale_to_zero(account: Account, groups: Sequence[str]) -> None:
    """Let all instances go: a worker protects itself while it works, and CloudFormation would wait for it."""
    if not groups:
        return
    autoscaling = account.client("autoscaling")
    found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=groups)["AutoScalingGroups"]
    for group in found:
        name = group["AutoScalingGroupName"]
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0)
        protected = [instance["InstanceId"] for instance in group["Instances"] if instance["ProtectedFromScaleIn"]]
        if protected:
            autoscaling.set_instance_protection(
                AutoScalingGroupName=name, InstanceIds=protected, ProtectedFromScaleIn=False
            )


def _delete_log_groups(account: Account, made: Iterable[Resource]) -> None:
    """Delete log groups again: an agent on an instance that was just ending may have brought one back."""
    logs = account.client("logs")
    for resource in made:
        if resource.type == LOG_GROUP and resource.policy != "Retain":
            with suppress(logs.exceptions.ResourceNotFoundException):
                logs.delete_log_group(logGroupName=resource.id)


def snapshots(target: Target) -> Iterator[str]:
    """Yield what is left of databases."""
    rds = target.account.client("rds")
    answer = rds.describe_db_snapshots(DBInstanceIdentifier=target.names.database_instance)
    for snapshot in answer["DBSnapshots"]:
        name = snapshot["DBSnapshotIdentifier"]
        yield f"database snapshot {name}; databaseSnapshot={name} restores it, and it costs {SNAPSHOT_BY_THE_GIB}."


def billed_resources(account: Account, names: Names) -> Iterator[str]:
    """Yield what would be billed by the hour and should not be there."""
    # CDK names what a launch template starts after the template's place in its stack
    places = [f"{stack}/*" for stack in names.stacks]
    ec2, ours = account.client("ec2"), {"Name": "tag:Name", "Values": places}
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    for reservation in ec2.describe_instances(Filters=[ours, alive])["Reservations"]:
        for instance in reservation["Instances"]:
            yield f"instance {instance['InstanceId']}, which costs by the hour: terminate it."
    for volume in ec2.describe_volumes(Filters=[ours])["Volumes"]:
        yield f"volume {volume['VolumeId']}, which costs by the month: delete it."


def _assets(target: Target) -> Iterator[str]:
    bucket = target.asset_bucket
    if bucket and buckets.is_ours(target.account, bucket, number=target.number, setting="assetBucket"):
        yield (
            f"bucket {bucket} with the uploaded artefacts, for the next deployment; it costs a few cents a month. "
            f"To remove it as well: aws s3 rb --force s3://{bucket} and "
            "aws cloudformation delete-stack --stack-name {target.names.bootstrap}."
        )
