"""The limits of an AWS Academy Learner Lab. Breaking one costs an instance, or the account."""

import math
from collections.abc import Iterator
from typing import Any

from stacks.profiles import LAB_DATABASE_SIZES, LAB_LARGEST_VOLUME_GIB, LAB_MAX_FLEET, LAB_REGIONS, LAB_SIZES
from stacks.rules.assembly import Assembly, Resource, Rule

MAX_INSTANCES = 9  # running at once in a region; the rest is terminated
MAX_VCPUS = 32
CLOSING_LAUNCH = 20  # whoever tries to start so many at once loses the account
VCPUS = 2  # of every type from nano to large
VOLUME_TYPES = ("gp2", "gp3", "sc1", "standard")
GROUP, TEMPLATE, DATABASE = "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate", "AWS::RDS::DBInstance"
_NO_ROLES = ("AWS::IAM::", "AWS::Lambda::", "AWS::Serverless::", "AWS::CloudFormation::CustomResource", "Custom::")

Found = Iterator[tuple[Resource | str, str]]


def regions(assembly: Assembly) -> Found:
    if assembly.region not in LAB_REGIONS:
        for stack in assembly.templates:
            yield stack, f"a lab works in {' and '.join(LAB_REGIONS)} alone, not in {assembly.region}"


def no_roles(assembly: Assembly) -> Found:
    for resource in assembly.resources():
        if resource.type.startswith(_NO_ROLES):
            yield resource, f"a lab creates no {resource.type}: use LabRole and LabInstanceProfile"


def instance_sizes(assembly: Assembly) -> Found:
    for resource in assembly.resources(TEMPLATE, "AWS::EC2::Instance"):
        type_ = str(_launch(resource).get("InstanceType", ""))
        if type_.rpartition(".")[2] not in LAB_SIZES:
            yield resource, f"a lab starts sizes {', '.join(LAB_SIZES)}, not {type_ or 'an unnamed one'}"


def on_demand(assembly: Assembly) -> Found:
    for resource in assembly.resources():
        if resource.type in {"AWS::EC2::SpotFleet", "AWS::EC2::EC2Fleet", "AWS::EC2::CapacityReservation"}:
            yield resource, "a lab starts instances on demand alone: no fleet, no reservation"
        elif "InstanceMarketOptions" in _launch(resource) or resource.properties.get("SpotPrice"):
            yield resource, "a lab starts instances on demand alone: no spot"
        elif resource.type == GROUP and "MixedInstancesPolicy" in resource.properties:
            yield resource, "a lab starts instances on demand alone: no mixed instances"


def volumes(assembly: Assembly) -> Found:
    for resource in assembly.resources(TEMPLATE, "AWS::EC2::Instance", "AWS::EC2::Volume"):
        for ebs in _volumes(resource):
            size, type_ = ebs.get("VolumeSize", ebs.get("Size", 0)), ebs.get("VolumeType", "gp2")
            if size > LAB_LARGEST_VOLUME_GIB:
                yield resource, f"a lab's volume has at most {LAB_LARGEST_VOLUME_GIB} GB, not {size}"
            if type_ not in VOLUME_TYPES or "Iops" in ebs:
                yield resource, f"a lab's volume is {', '.join(VOLUME_TYPES)} without provisioned IOPS, not {type_}"


def databases(assembly: Assembly) -> Found:
    for resource in assembly.resources(DATABASE):
        is_ = resource.properties
        class_, type_ = str(is_.get("DBInstanceClass", "")), is_.get("StorageType", "gp2")
        gib = max(int(is_.get("AllocatedStorage", 0)), int(is_.get("MaxAllocatedStorage", 0)))
        if class_.rpartition(".")[2] not in LAB_DATABASE_SIZES:
            yield resource, f"a lab's database has a class of size {', '.join(LAB_DATABASE_SIZES)}, not {class_}"
        if type_ != "gp2" or "Iops" in is_:
            yield resource, f"a lab's database is stored on gp2, not {type_}"
        if gib > LAB_LARGEST_VOLUME_GIB:
            yield resource, f"a lab's database has at most {LAB_LARGEST_VOLUME_GIB} GB, not {gib}"
        if is_.get("MonitoringInterval"):
            yield resource, "a lab offers no enhanced monitoring of databases"


def instances(assembly: Assembly) -> Found:
    """Count the most instances that can run at once, with every group's surge; then one group replaced whole."""
    groups = list(assembly.resources(GROUP))
    single = sum(1 for _ in assembly.resources("AWS::EC2::Instance"))
    most = sum(_most(group) for group in groups) + single
    surging = most + sum(_surge(assembly, group) for group in groups)
    replaced = most + max((_most(group) for group in groups), default=0)
    for group in groups:
        if max(surging, replaced) > MAX_INSTANCES:
            sentence = f"a lab runs {MAX_INSTANCES} instances in a region, surges counted, not"
            yield group, f"{sentence} {max(surging, replaced)}: this group has up to {_most(group)}"
        if max(surging, replaced) * VCPUS > MAX_VCPUS:
            yield group, f"a lab runs {MAX_VCPUS} vCPUs, not {max(surging, replaced) * VCPUS}"


def fleet_sizes(assembly: Assembly) -> Found:
    for group in assembly.resources(GROUP):
        if _most(group) > LAB_MAX_FLEET:
            yield group, f"the course allows a fleet of {LAB_MAX_FLEET} instances, not {_most(group)}"


def launches(assembly: Assembly) -> Found:
    groups = list(assembly.resources(GROUP))
    if sum(_asked(group) for group in groups) >= CLOSING_LAUNCH:
        for group in groups:
            yield group, f"starting {CLOSING_LAUNCH} instances at once closes the lab account"


def _most(group: Resource) -> int:
    return int(group.properties["MaxSize"])


def _asked(group: Resource) -> int:
    return max(_most(group), int(group.properties.get("DesiredCapacity", 0)))


def _surge(assembly: Assembly, group: Resource) -> int:
    """Return by how many running instances a group can exceed its most.

    Rebalancing between zones adds a tenth, at least one; a rolling update, a batch of which the predecessors may
    still be ending; a maintenance policy, its percentage. Of these three one is at work at a time, since an update
    suspends the others. With a termination hook comes one more: a worker that took its job just when it was chosen
    to go, and ends after the group has grown again; those that were busy before are passed over, those that were
    idle end within seconds. Load balancer draining is shorter than the 3 minutes that growing takes.
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/auto-scaling-benefits.html
    """
    most = _most(group)
    rolling = group.definition.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {})
    percent: int = group.properties.get("InstanceMaintenancePolicy", {}).get("MaxHealthyPercentage", 100)
    hooks = assembly.resources("AWS::AutoScaling::LifecycleHook")
    hooked = any(assembly.follow(hook.stack, hook.properties["AutoScalingGroupName"]) == group for hook in hooks)
    replacing = max(
        math.ceil(most / 10), int(rolling.get("MaxBatchSize", 0)), math.ceil(most * (percent - 100) / 100)
    )
    return replacing + (1 if hooked else 0)


def _launch(resource: Resource) -> dict[str, Any]:
    data: dict[str, Any] = resource.properties.get("LaunchTemplateData", resource.properties)
    return data


def _volumes(resource: Resource) -> list[dict[str, Any]]:
    if resource.type == "AWS::EC2::Volume":
        return [dict(resource.properties)]
    return [mapping["Ebs"] for mapping in _launch(resource).get("BlockDeviceMappings", []) if "Ebs" in mapping]


LAB_RULES = (
    Rule("LabRegions", regions),
    Rule("LabRoles", no_roles),
    Rule("LabInstanceSizes", instance_sizes),
    Rule("LabOnDemand", on_demand),
    Rule("LabVolumes", volumes),
    Rule("LabDatabases", databases),
    Rule("LabInstances", instances),
    Rule("LabFleetSizes", fleet_sizes),
    Rule("LabLaunches", launches),
)
