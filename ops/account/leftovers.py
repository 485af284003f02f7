"""Name what of ours costs money and belongs to nothing that runs.

These are volumes that no instance uses, public addresses that nobody has, instances that no group has, snapshots, and
kept buckets. Each comes with how to remove it; nothing is removed here.
"""

from collections.abc import Iterator

import click

from anb import commands
from deploy import buckets, cloudformation
from ops.account.desk import Desk

PROJECT = {"project": "anb-rising-stars"}


@click.command("leftovers", help=__doc__)
@commands.json_option
@click.pass_obj
def command(desk: Desk, *, as_json: bool) -> int:
    """Print what is left over."""
    found = [*_instances(desk), *_volumes(desk), *_addresses(desk), *_snapshots(desk), *_buckets(desk)]
    if as_json:
        commands.print_json(found)
    else:
        for line in found:
            print(line)
        print(f"{len(found)} things left over" if found else "Nothing is left over.")
    return commands.FAILED if found else commands.DONE


def _ours(desk: Desk) -> dict[str, object]:
    """Return the filter for what launch templates start, which CDK names after a template's place in its stack."""
    return {"Name": "tag:Name", "Values": [f"{stack}/*" for stack in desk.names.stacks]}


def _instances(desk: Desk) -> Iterator[str]:
    alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    pages = desk.account.client("ec2").get_paginator("describe_instances").paginate(Filters=[_ours(desk), alive])
    grouped = {instance for group in _groups(desk) for instance in group}
    made = set(_made(desk, "AWS::EC2::Instance"))
    for page in pages:
        for instance in (it["InstanceId"] for reservation in page["Reservations"] for it in reservation["Instances"]):
            if instance not in grouped | made:
                yield f"instance {instance}: aws ec2 terminate-instances --instance-ids {instance}"


def _groups(desk: Desk) -> Iterator[set[str]]:
    for page in desk.account.client("autoscaling").get_paginator("describe_auto_scaling_groups").paginate():
        for group in page["AutoScalingGroups"]:
            yield {instance["InstanceId"] for instance in group["Instances"]}


def _made(desk: Desk, kind: str) -> Iterator[str]:
    for stack in cloudformation.existing(desk.account, desk.names.stacks):
        yield from (it.id for it in cloudformation.resources(desk.account, stack.name) if it.type == kind)


def _volumes(desk: Desk) -> Iterator[str]:
    unused = {"Name": "status", "Values": ["available"]}
    for page in desk.account.client("ec2").get_paginator("describe_volumes").paginate(Filters=[_ours(desk), unused]):
        for volume in page["Volumes"]:
            id_ = volume["VolumeId"]
            yield f"volume {id_} of {volume['Size']} GiB: aws ec2 delete-volume --volume-id {id_}"


def _addresses(desk: Desk) -> Iterator[str]:
    ours = {"Name": "tag:project", "Values": [PROJECT["project"]]}
    for address in desk.account.client("ec2").describe_addresses(Filters=[ours])["Addresses"]:
        if not address.get("AssociationId") and not address.get("NetworkInterfaceId"):
            id_ = address["AllocationId"]
            yield f"public address {address['PublicIp']}: aws ec2 release-address --allocation-id {id_}"


def _snapshots(desk: Desk) -> Iterator[str]:
    pages = desk.account.client("rds").get_paginator("describe_db_snapshots")
    for page in pages.paginate(DBInstanceIdentifier=desk.names.database_instance):
        for name in (snapshot["DBSnapshotIdentifier"] for snapshot in page["DBSnapshots"]):
            yield f"database snapshot {name}: aws rds delete-db-snapshot --db-snapshot-identifier {name}"


def _buckets(desk: Desk) -> Iterator[str]:
    kept = set(_made(desk, "AWS::S3::Bucket"))
    for name, tags in buckets.with_tags(desk.account, [f"{stack.lower()}-" for stack in desk.names.stacks]):
        if name not in kept and PROJECT.items() <= tags.items():
            yield f"bucket {name}, whose stack is gone: aws s3 rb --force s3://{name}"
