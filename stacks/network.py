"""Where everything runs: a VPC over two zones, and the security groups that the others meet at."""

from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks import cloudfront
from stacks.constructs.buckets import log_bucket
from stacks.profiles import Profile
from stacks.settings import StackSettings

ZONES = 2
HTTP, HTTPS, MYSQL = ec2.Port.tcp(80), ec2.Port.tcp(443), ec2.Port.tcp(3306)


class NetworkStack(cdk.Stack):
    """The network. Groups are allowed to reach groups; addresses appear only where the internet begins."""

    def __init__(self, scope: Construct, id_: str, *, profile: Profile, **settings: Unpack[StackSettings]) -> None:
        super().__init__(scope, id_, description="ANB Rising Stars: network", **settings)
        self.logs: s3.Bucket = log_bucket(self, "Logs", profile)
        fleets = ec2.SubnetType.PRIVATE_WITH_EGRESS if profile.private_fleets else ec2.SubnetType.PUBLIC
        self.fleet_subnets = ec2.SubnetSelection(subnet_type=fleets)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.20.0.0/16"),
            max_azs=ZONES,
            nat_gateways=ZONES if profile.private_fleets else 0,
            subnet_configuration=_subnets(profile),
            # Closing it takes a function with a role; nothing of ours is in that group either way
            restrict_default_security_group=profile.borrowed_role is None,
        )
        # Free, and keeps artefacts and videos away from the internet (and from NAT, which is paid by the gigabyte)
        self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        if profile.flow_logs:
            self.vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_s3(self.logs, "vpc"))

        who = "reached by CloudFront alone" if profile.cloudfront else "open to the internet"
        self.balancer_group = self._group("BalancerGroup", f"The load balancer: {who}")
        self.web_group = self._group("WebGroup", "Web instances: reached by the load balancer alone")
        self.worker_group = self._group("WorkerGroup", "Workers: reached by nobody")
        self.database_group = self._group("DatabaseGroup", "The database: reached by the fleets alone")
        self._let_in(profile)
        self._connect()

    def _group(self, id_: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, id_, vpc=self.vpc, description=description, allow_all_outbound=False)

    def _let_in(self, profile: Profile) -> None:
        if profile.cloudfront:
            peer = ec2.Peer.prefix_list(cloudfront.PREFIX_LISTS[profile.region])
            # One port: the list counts for 55 of the 60 rules that a group may have
            self.balancer_group.add_ingress_rule(peer, HTTP, "from CloudFront")
            return
        for port in (HTTP, HTTPS) if profile.certificate_arn else (HTTP,):
            self.balancer_group.add_ingress_rule(ec2.Peer.any_ipv4(), port, "from the internet")

    def _connect(self) -> None:
        self.web_group.connections.allow_from(self.balancer_group, HTTP, "requests")
        for fleet in (self.web_group, self.worker_group):
            self.database_group.connections.allow_from(fleet, MYSQL, "queries")
            # AWS's own services: artefacts, queue, secrets, logs, Session Manager, packages
            fleet.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS")


def _subnets(profile: Profile) -> list[ec2.SubnetConfiguration]:
    public = ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24)
    private = ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=24)
    isolated = ec2.SubnetConfiguration(name="Database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
    return [public, *([private] if profile.private_fleets else []), isolated]
