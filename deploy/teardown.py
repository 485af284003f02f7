"""Takes the stacks out of an account, and tells what stays."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from deploy import buckets, cloudformation
from deploy.account import Account
from deploy.cloudformation import Resource
from deploy.errors import CannotDeploy
from deploy.preflight import Target
from stacks.names import DATABASE_INSTANCE

Say = Callable[[str], None]

BUCKET, LOG_GROUP = "AWS::S3::Bucket", "AWS::Logs::LogGroup"
FLEET = "AWS::AutoScaling::AutoScalingGroup"
# Flow logs arrive for some minutes after they were switched off, in a bucket that was empty
ATTEMPTS = 3


def destroy_database(target: Target, say: Say) -> list[str]:
    """Destroy the database's stack and nothing else; return what is left, a sentence each."""
    stack = cloudformation.find(target.account, cloudformation.DATABASE)
    if stack is None:
        say("There is no database to destroy.")
        return []
    cloudformation.check_deletable([stack])
    say(f"Destroying {cloudformation.DATABASE}: about 5 minutes.")
    cloudformation.delete(target.account, [cloudformation.DATABASE])
    say("The database is gone. The site answers, with 503 where it needs one; make deploy brings an empty one.")
    return list(snapshots(target.account))


def destroy_everything(target: Target, say: Say) -> list[str]:
    """Destroy all stacks with what is in their buckets, except what their templates keep; return what is left."""
    account = target.account
    found = cloudformation.existing(account)
    cloudformation.check_deletable(found)
    made = [resource for stack in found for resource in cloudformation.resources(account, stack.name)]
    for row in cloudformation.TEARDOWN:
        names = [stack.name for stack in found if stack.name in row]
        if names:
            say(f"Destroying {', '.join(names)}.")
            _destroy(account, names, [resource for resource in made if resource.stack in names], say)
    _delete_log_groups(account, made)
    say("All stacks are gone." if found else "There is no stack of ours.")
    return [*_kept(made), *snapshots(account), *billed_resources(account), *_assets(target)]


def _destroy(account: Account, names: Sequence[str], made: Sequence[Resource], say: Say) -> None:
    _scale_to_zero(account, [resource.id for resource in made if resource.type == FLEET])
    to_empty = [resource.id for resource in made if resource.type == BUCKET and not resource.is_kept]
    for attempt in range(1, ATTEMPTS + 1):
        for bucket in to_empty:
            say(f"Emptied {bucket}: {buckets.empty(account, bucket)} objects and versions.")
        try:
            cloudformation.delete(account, names)
        except CannotDeploy as error:
            if attempt == ATTEMPTS or not to_empty:
                raise
            say(f"{error} Trying again, as something may have been written meanwhile.")
        else:
            return


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
        if resource.type == LOG_GROUP and not resource.is_kept:
            with suppress(logs.exceptions.ResourceNotFoundException):
                logs.delete_log_group(logGroupName=resource.id)


def _kept(made: Iterable[Resource]) -> Iterator[str]:
    for resource in made:
        if resource.is_kept and resource.type in {BUCKET, LOG_GROUP}:
            yield f"{resource.type} {resource.id}, which the profile keeps; it costs by the gigabyte and month."


def snapshots(account: Account) -> Iterator[str]:
    """Yield what is left of databases."""
    answer = account.client("rds").describe_db_snapshots(DBInstanceIdentifier=DATABASE_INSTANCE)
    for snapshot in answer["DBSnapshots"]:
        name = snapshot["DBSnapshotIdentifier"]
        yield f"database snapshot {name}; databaseSnapshot={name} restores it, and it costs by the gigabyte."


def billed_resources(account: Account) -> Iterator[str]:
    """Yield what would be billed by the hour and should not be there."""
    ec2, ours = account.client("ec2"), {"Name": "tag:project", "Values": ["anb-rising-stars"]}
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
            "aws cloudformation delete-stack --stack-name AnbBootstrap."
        )
