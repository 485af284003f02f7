"""What of a synthesised or deployed system costs money by being there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.rules.assembly import Assembly, Resource

_GROUP, _LAUNCH = "AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::LaunchTemplate"
_BALANCER, _DATABASE = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::RDS::DBInstance"


@dataclass(frozen=True, kw_only=True)
class Group:
    """A fleet: its instances, and between how many of them there are."""

    stack: str
    instance_type: str
    least: int
    most: int
    volume_gib: int
    has_addresses: bool  # each instance a public one


@dataclass(frozen=True, kw_only=True)
class Database:
    """What the database runs on."""

    instance_class: str
    storage_gib: int
    multi_az: bool


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Numbers of what is there; of the database, what it is, where there is one."""

    groups: tuple[Group, ...]
    database: Database | None
    balancers: int
    balancer_addresses: int
    nat_gateways: int
    secrets: int
    alarms: int
    dashboards: int
    distributions: int
    single: tuple[Group, ...] = ()
    """Instances that belong to no group, such as the load generator, each as a fleet of one."""

    @property
    def is_distributed(self) -> bool:
        """Whether visitors come through CloudFront."""
        return self.distributions > 0

    @classmethod
    def of(cls, assembly: Assembly) -> "Inventory":
        """Return what the templates make."""
        balancers = list(assembly.resources(_BALANCER))
        public = [it for it in balancers if it.properties.get("Scheme") == "internet-facing"]
        databases = list(assembly.resources(_DATABASE))

        def count(type_: str) -> int:
            return sum(1 for _ in assembly.resources(type_))

        return cls(
            groups=tuple(_group(assembly, it) for it in assembly.resources(_GROUP)),
            database=_database(databases[0].properties) if databases else None,
            balancers=len(balancers),
            balancer_addresses=sum(len(it.properties.get("Subnets", ())) for it in public),
            nat_gateways=count("AWS::EC2::NatGateway"),
            secrets=count("AWS::SecretsManager::Secret"),
            alarms=count("AWS::CloudWatch::Alarm"),
            dashboards=count("AWS::CloudWatch::Dashboard"),
            distributions=count("AWS::CloudFront::Distribution"),
            single=tuple(_single(assembly, it) for it in assembly.resources("AWS::EC2::Instance")),
        )


def _group(assembly: Assembly, group: Resource) -> Group:
    launch = assembly.only(group.stack, _LAUNCH).properties["LaunchTemplateData"]
    return Group(
        stack=group.stack,
        instance_type=launch["InstanceType"],
        least=int(group.properties["MinSize"]),
        most=int(group.properties["MaxSize"]),
        volume_gib=_volume_gib(launch),
        has_addresses=_has_addresses(assembly, group.stack, group.properties["VPCZoneIdentifier"]),
    )


def _single(assembly: Assembly, instance: Resource) -> Group:
    properties = instance.properties
    return Group(
        stack=instance.stack,
        instance_type=properties["InstanceType"],
        least=1,
        most=1,
        volume_gib=_volume_gib(properties),
        has_addresses=_has_addresses(assembly, instance.stack, [properties["SubnetId"]]),
    )


def _volume_gib(launch: Mapping[str, Any]) -> int:
    return sum(int(it["Ebs"]["VolumeSize"]) for it in launch.get("BlockDeviceMappings", ()) if "Ebs" in it)


def _has_addresses(assembly: Assembly, stack: str, subnets: Iterable[Any]) -> bool:
    found = (assembly.follow(stack, subnet) for subnet in subnets)
    return any(it is not None and it.properties.get("MapPublicIpOnLaunch", False) for it in found)


def _database(properties: Mapping[str, Any]) -> Database:
    return Database(
        instance_class=properties["DBInstanceClass"],
        storage_gib=int(properties["AllocatedStorage"]),
        multi_az=bool(properties.get("MultiAZ", False)),
    )
