"""What of a synthesised or deployed system costs money by being there."""

from collections.abc import Mapping
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
        )


def _group(assembly: Assembly, group: Resource) -> Group:
    launch = assembly.only(group.stack, _LAUNCH).properties["LaunchTemplateData"]
    volumes = [mapping["Ebs"]["VolumeSize"] for mapping in launch.get("BlockDeviceMappings", ()) if "Ebs" in mapping]
    subnets = [assembly.follow(group.stack, subnet) for subnet in group.properties["VPCZoneIdentifier"]]
    return Group(
        stack=group.stack,
        instance_type=launch["InstanceType"],
        least=int(group.properties["MinSize"]),
        most=int(group.properties["MaxSize"]),
        volume_gib=sum(map(int, volumes)),
        has_addresses=any(it is not None and it.properties.get("MapPublicIpOnLaunch", False) for it in subnets),
    )


def _database(properties: Mapping[str, Any]) -> Database:
    return Database(
        instance_class=properties["DBInstanceClass"],
        storage_gib=int(properties["AllocatedStorage"]),
        multi_az=bool(properties.get("MultiAZ", False)),
    )
