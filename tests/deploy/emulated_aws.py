"""The emulator, taught the resources of our templates that it does not know.

Usage: python emulated_aws.py    (in the emulator's environment; settings as of `python -m ministack`)

It reaches into ministack's private names, so local/emulator.txt pins the version that they belong to.
What is taught here is stored and described like the rest: nothing sends a flow log or evaluates metric math.
"""

import copy
import functools
import os
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

from ministack.app import main
from ministack.services import autoscaling, cloudfront, ec2, rds, s3, ssm
from ministack.services.cloudformation import _exports, _stacks, handlers, provisioners, stacks

Properties = dict[str, Any]
HANDLERS = provisioners._RESOURCE_HANDLERS
DEFAULT_MINORS = {"8.4": "8.4.7"}
VPC_ORIGINS: dict[str, Properties] = {}


def rule_handlers(direction: str) -> dict[str, Any]:
    """Create and delete a rule that stands beside its security group."""

    def create(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
        rules = ec2._security_groups[properties["GroupId"]].setdefault(direction, [])
        rules.extend(provisioners._ec2_sg_permissions([properties]))
        return f"sgr-{uuid.uuid4().hex[:17]}", {}

    def delete(_physical_id: str, properties: Properties) -> None:
        rules = ec2._security_groups.get(properties["GroupId"], {}).get(direction, [])
        for rule in provisioners._ec2_sg_permissions([properties]):
            if rule in rules:
                rules.remove(rule)

    return {"create": create, "delete": delete}


def create_flow_log(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Record who logs what where."""
    kept = ("ResourceId", "ResourceType", "TrafficType", "LogDestinationType", "LogDestination")
    id_ = f"fl-{uuid.uuid4().hex[:17]}"
    ec2._flow_logs[id_] = {key: properties[key] for key in kept} | {
        "FlowLogId": id_,
        "FlowLogStatus": "ACTIVE",
        "CreationTime": ec2._now_ts(),
    }
    return id_, {"Id": id_}


def delete_flow_log(physical_id: str, _properties: Properties) -> None:
    """Forget a flow log."""
    ec2._flow_logs.pop(physical_id, None)


def create_address(_logical_id: str, _properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Take an address of the internet, known to templates by itself and by its allocation."""
    id_ = f"eipalloc-{uuid.uuid4().hex[:17]}"
    address = ec2._random_ip("52.")
    ec2._addresses[id_] = {"AllocationId": id_, "PublicIp": address, "Domain": "vpc"} | dict.fromkeys(
        ("AssociationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress")
    )
    return address, {"AllocationId": id_, "PublicIp": address}


def delete_address(physical_id: str, _properties: Properties) -> None:
    """Give an address back."""
    for id_ in [id_ for id_, it in ec2._addresses.items() if it["PublicIp"] == physical_id]:
        del ec2._addresses[id_]


def create_nat_gateway(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Record what lets a subnet's instances out; nothing passes it."""
    id_ = f"nat-{uuid.uuid4().hex[:17]}"
    ec2._nat_gateways[id_] = {
        "NatGatewayId": id_,
        "SubnetId": properties["SubnetId"],
        "VpcId": ec2._subnets[properties["SubnetId"]]["VpcId"],
        "AllocationId": properties["AllocationId"],
        "ConnectivityType": "public",
        "State": "available",
        "CreateTime": ec2._now_ts(),
        "Tags": properties.get("Tags", []),
    }
    return id_, {"NatGatewayId": id_}


def delete_nat_gateway(physical_id: str, _properties: Properties) -> None:
    """Forget it; its address stays."""
    ec2._nat_gateways.pop(physical_id, None)


def create_instance(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Record an instance; nothing boots."""
    (made,) = ec2._launch_instances_internal(
        image_id=properties["ImageId"],
        instance_type=properties["InstanceType"],
        subnet_id=properties["SubnetId"],
        count=1,
        user_data=properties["UserData"],
        sg_ids=properties["SecurityGroupIds"],
    )
    id_ = made["InstanceId"]
    ec2._tags[id_] = properties.get("Tags", [])
    return id_, {"InstanceId": id_, "PrivateIp": made["PrivateIpAddress"]}


def delete_instance(physical_id: str, _properties: Properties) -> None:
    """End an instance."""
    ec2._instances.pop(physical_id, None)


def close_default_group(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Take all rules from a network's default group, as CDK's function does, for which there is no SDK here."""
    id_ = properties["DefaultSecurityGroupId"]
    ec2._security_groups[id_] |= {"IpPermissions": [], "IpPermissionsEgress": []}
    return f"closed-{id_}", {}


def associate_firewall(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Note which access list stands before which balancer; no request passes either."""
    return f"{properties['ResourceArn']}|{properties['WebACLArn']}", {}


def create_vpc_origin(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Note what a distribution may reach in a network."""
    id_ = f"vo_{uuid.uuid4().hex[:20]}"
    VPC_ORIGINS[id_] = properties["VpcOriginEndpointConfig"]
    return id_, {"Id": id_}


def update_vpc_origin(physical_id: str, _old: Properties, new: Properties, *_: Any) -> tuple[str, Properties]:
    """Change it, unless a distribution uses it."""
    refuse_in_use(physical_id)
    VPC_ORIGINS[physical_id] = new["VpcOriginEndpointConfig"]
    return physical_id, {"Id": physical_id}


def delete_vpc_origin(physical_id: str, _properties: Properties) -> None:
    """Forget it, unless a distribution uses it."""
    refuse_in_use(physical_id)
    VPC_ORIGINS.pop(physical_id, None)


def refuse_in_use(vpc_origin: str) -> None:
    """Raise what CloudFront answers to any change of a VPC origin that a distribution uses, be it of a tag."""
    if any(vpc_origin in distribution["config_xml"] for distribution in cloudfront._distributions.values()):
        raise ValueError("The specified VPC origin is currently associated with one or more distributions.")


def with_cloudfronts_addresses(id_of: Callable[[str], str]) -> Callable[[str], str]:
    """Have AWS's own list of CloudFront's addresses under the id that it has in our region."""
    return lambda name: "pl-3b927c52" if name == "com.amazonaws.global.cloudfront.origin-facing" else id_of(name)


def with_addresses(change: Callable[..., tuple[str, Properties]]) -> Callable[..., tuple[str, Properties]]:
    """Tell templates what range of addresses a network has, when it is made and when it is changed."""

    @functools.wraps(change)
    def changed(*arguments: Any, **named: Any) -> tuple[str, Properties]:
        physical_id, attributes = change(*arguments, **named)
        return physical_id, attributes | {"CidrBlock": ec2._vpcs[physical_id]["CidrBlock"]}

    return changed


def with_metric_math(record: Callable[[str, Properties], Properties]) -> Callable[[str, Properties], Properties]:
    """Accept alarms on several metrics, which are refused otherwise."""

    def recorded(name: str, properties: Properties) -> Properties:
        if not properties.get("Metrics"):
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        alarm = record(name, plain | {"MetricName": "-", "Namespace": "-"})
        for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period"):
            alarm.pop(key, None)
        return alarm | {"Metrics": copy.deepcopy(properties["Metrics"])}

    return recorded


def with_instances(create: Callable[..., tuple[str, Properties]]) -> Callable[..., tuple[str, Properties]]:
    """Have a new group start its instances, in the zones of its subnets."""

    @functools.wraps(create)
    def created(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = create(logical_id, properties, stack)
        group = autoscaling._asgs[physical_id]
        group["AvailabilityZones"] = sorted(
            ec2._subnets[subnet]["AvailabilityZone"] for subnet in properties["VPCZoneIdentifier"]
        )
        autoscaling._reconcile_instances(group)
        return physical_id, attributes

    return created


def suspend_processes(request: Properties) -> Any:
    """Have a group leave these of its processes."""
    group = autoscaling._asgs[request["AutoScalingGroupName"]]
    asked = set(autoscaling._parse_member_list(request, "ScalingProcesses"))
    group["SuspendedProcesses"] = sorted(asked | set(group.get("SuspendedProcesses", ())))
    return autoscaling._xml(200, "SuspendProcessesResponse", "")


def resume_processes(request: Properties) -> Any:
    """Have a group go on with all that it does."""
    group = autoscaling._asgs[request["AutoScalingGroupName"]]
    group["SuspendedProcesses"] = []
    autoscaling._reconcile_instances(group)
    return autoscaling._xml(200, "ResumeProcessesResponse", "")


def terminate_instance(request: Properties) -> Any:
    """End an instance, which its group replaces."""
    ended = "TerminateInstanceInAutoScalingGroupResult"
    for group in autoscaling._asgs.values():
        group["Instances"] = [it for it in group["Instances"] if it["InstanceId"] != request["InstanceId"]]
        autoscaling._reconcile_instances(group)
    return autoscaling._xml(200, "TerminateInstanceInAutoScalingGroupResponse", f"<{ended}/>")


def without_launches(reconcile: Callable[[Properties], None]) -> Callable[[Properties], None]:
    """Have a group start nothing while that is suspended."""

    def reconciled(group: Properties) -> None:
        may_launch = "Launch" not in group.get("SuspendedProcesses", ())
        if may_launch or len(group["Instances"]) > group["DesiredCapacity"]:
            reconcile(group)

    return reconciled


def managed_instances() -> set[str]:
    """Return the instances of all groups: Systems Manager's agent answers on each."""
    return {it["InstanceId"] for group in autoscaling._asgs.values() for it in group["Instances"]}


def describe_managed_instances(_request: Properties) -> Any:
    """Tell which instances Systems Manager reaches."""
    known = [{"InstanceId": id_, "PingStatus": "Online"} for id_ in sorted(managed_instances())]
    return ssm.json_response({"InstanceInformationList": known})


def run_on_instance(_instance: str, argv: list[str]) -> tuple[int, str, str]:
    """Run a script on this machine, with the command in place of what an artefact installs."""
    script = [word.replace("/opt/anb/venv/bin/ops", os.environ["OPS_ON_INSTANCE"]) for word in argv]
    done = subprocess.run(script, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def with_tags(create: Callable[..., tuple[str, Properties]]) -> Callable[..., tuple[str, Properties]]:
    """Give a new bucket the tags that its template gives it."""

    @functools.wraps(create)
    def created(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = create(logical_id, properties, stack)
        s3._bucket_tags[physical_id] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", ())}
        return physical_id, attributes

    return created


def with_minor_versions(create: Callable[..., tuple[str, Properties]]) -> Callable[..., tuple[str, Properties]]:
    """Give a new database a minor version: the default one, or a restored one that of its snapshot.

    CloudFormation then asks for the template's version once more, which RDS refuses where that would be a lower one.
    """

    @functools.wraps(create)
    def created(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        physical_id, attributes = create(logical_id, properties, stack)
        if snapshot := rds._snapshots.get(properties.get("DBSnapshotIdentifier", "")):
            rds._instances[physical_id]["EngineVersion"] = snapshot["EngineVersion"]
        raise_version(physical_id, properties)
        return physical_id, attributes

    return created


def with_raised_versions(update: Callable[..., tuple[str, Properties]]) -> Callable[..., tuple[str, Properties]]:
    """Have an update that changes the version ask RDS for it, which has none lowered."""

    @functools.wraps(update)
    def updated(physical_id: str, before: Properties, after: Properties, *rest: Any) -> tuple[str, Properties]:
        now = rds._instances[physical_id]["EngineVersion"]
        answer = update(physical_id, before, after, *rest)
        rds._instances[physical_id]["EngineVersion"] = now
        if before.get("EngineVersion") != after.get("EngineVersion"):
            raise_version(physical_id, after)
        return answer

    return updated


def raise_version(physical_id: str, properties: Properties) -> None:
    """Raise a database's version to the template's, where RDS's default stands for what has no last number."""
    instance = rds._instances[physical_id]
    if named := properties.get("EngineVersion"):
        now, wanted = instance["EngineVersion"], DEFAULT_MINORS.get(str(named), str(named))
        if now.count(".") > 1 and numbers(wanted) < numbers(now):
            raise ValueError(f"Cannot upgrade mysql from {now} to {wanted}")
        instance["EngineVersion"] = wanted


def numbers(version: str) -> list[int]:
    """Return the numbers of a version, to compare it."""
    return [int(number) for number in version.split(".")]


def only_if_empty(delete: Callable[[str, Properties], None]) -> Callable[[str, Properties], None]:
    """Refuse to delete a bucket with something in it, as AWS does."""

    def deleted(physical_id: str, properties: Properties) -> None:
        if physical_id in s3._buckets and s3._delete_bucket(physical_id)[0] == 409:
            raise ValueError(f"The bucket you tried to delete is not empty: {physical_id}")
        delete(physical_id, properties)

    return deleted


def holding_exports_in_use(resolve: Callable[..., tuple[Any, Properties]]) -> Callable[..., tuple[Any, Properties]]:
    """Refuse an update that takes back or changes an export which another stack imports, as CloudFormation does."""

    @functools.wraps(resolve)
    def resolved(*arguments: Any) -> tuple[Any, Properties]:
        outputs, exports = resolve(*arguments)
        stack_id = arguments[-1]
        for name in [name for name, export in _exports.items() if export["StackId"] == stack_id]:
            users = [user for user, it in _stacks.items() if name in handlers._imported_export_names(it, user)]
            if users and name not in exports:
                raise ValueError(f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}")
            if users and exports[name]["Value"] != _exports[name]["Value"]:
                raise ValueError(f"Cannot update export {name} as it is in use by {' and '.join(users)}")
        return outputs, exports

    return resolved


HANDLERS["AWS::EC2::SecurityGroupIngress"] = rule_handlers("IpPermissions")
HANDLERS["AWS::EC2::SecurityGroupEgress"] = rule_handlers("IpPermissionsEgress")
HANDLERS["AWS::EC2::Instance"] = {"create": create_instance, "delete": delete_instance}
HANDLERS["AWS::EC2::FlowLog"] = {"create": create_flow_log, "delete": delete_flow_log}
HANDLERS["AWS::EC2::EIP"] = {"create": create_address, "delete": delete_address}
HANDLERS["AWS::EC2::NatGateway"] = {"create": create_nat_gateway, "delete": delete_nat_gateway}
HANDLERS["Custom::VpcRestrictDefaultSG"] = {"create": close_default_group, "delete": lambda _id, _properties: None}
HANDLERS["AWS::WAFv2::WebACLAssociation"] = {"create": associate_firewall, "delete": lambda _id, _properties: None}
HANDLERS["AWS::CloudFront::VpcOrigin"] = {
    "create": create_vpc_origin,
    "update": update_vpc_origin,
    "delete": delete_vpc_origin,
}
for change in ("create", "update"):
    HANDLERS["AWS::EC2::VPC"][change] = with_addresses(HANDLERS["AWS::EC2::VPC"][change])
HANDLERS["AWS::AutoScaling::AutoScalingGroup"]["create"] = with_instances(
    HANDLERS["AWS::AutoScaling::AutoScalingGroup"]["create"]
)
autoscaling._reconcile_instances = without_launches(autoscaling._reconcile_instances)
autoscaling._ACTION_MAP |= {
    "SuspendProcesses": suspend_processes,
    "ResumeProcesses": resume_processes,
    "TerminateInstanceInAutoScalingGroup": terminate_instance,
}
ssm._managed_instance_ids = managed_instances
ssm._describe_instance_information = describe_managed_instances
ec2.exec_in_instance_blocking = run_on_instance
HANDLERS["AWS::S3::Bucket"]["create"] = with_tags(HANDLERS["AWS::S3::Bucket"]["create"])
HANDLERS["AWS::S3::Bucket"]["delete"] = only_if_empty(HANDLERS["AWS::S3::Bucket"]["delete"])
HANDLERS["AWS::RDS::DBInstance"]["create"] = with_minor_versions(HANDLERS["AWS::RDS::DBInstance"]["create"])
HANDLERS["AWS::RDS::DBInstance"]["update"] = with_raised_versions(HANDLERS["AWS::RDS::DBInstance"]["update"])
provisioners._cw_metric_alarm_record = with_metric_math(provisioners._cw_metric_alarm_record)
ec2._aws_pl_id_from_name = with_cloudfronts_addresses(ec2._aws_pl_id_from_name)
stacks._resolve_stack_outputs = holding_exports_in_use(stacks._resolve_stack_outputs)

if __name__ == "__main__":
    main()
