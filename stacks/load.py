"""An instance that sends load from within the region; there while it is wanted, and imported from by nobody."""

from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from stacks.constructs.artefacts import Artefact, Sources
from stacks.constructs.fleet import IMAGE
from stacks.constructs.identity import identity
from stacks.constructs.user_data import user_data
from stacks.network import HTTP, HTTPS, NetworkStack
from stacks.profiles import Profile
from stacks.settings import StackSettings

INSTANCE_TYPE = "t3.small"
VOLUME_GIB = 8  # as large as the image


class LoadStack(cdk.Stack):
    """Locust and the scenarios on one small instance, with no door but Session Manager and Run Command.

    It imports nothing that the other stacks do not export anyway, so that it comes and goes without their notice.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        network: NetworkStack,
        sources: Sources,
        **settings: Unpack[StackSettings],
    ) -> None:
        super().__init__(scope, id_, description="ANB Rising Stars: load generator", **settings)
        artefact = Artefact(self, "Artefact", sources.artefacts / "load.zip")
        carrier = identity(self, profile)
        artefact.grant_read(carrier.role)
        instance = ec2.Instance(
            self,
            "Generator",
            vpc=network.vpc,
            vpc_subnets=network.fleet_subnets,
            security_group=self._group(network),
            instance_type=ec2.InstanceType(INSTANCE_TYPE),
            machine_image=ec2.MachineImage.from_ssm_parameter(IMAGE),
            instance_profile=carrier.instance_profile,
            user_data=user_data(
                [sources.user_data / "load.sh"],
                {
                    "REGION": profile.region,
                    "ARTEFACT_ADDRESS": artefact.address,
                    "ARTEFACT_SHA256": artefact.sha256,
                },
            ),
            # It is run once: other scenarios come with another instance
            user_data_causes_replacement=True,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        VOLUME_GIB, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
            http_tokens=ec2.HttpTokens.REQUIRED,
            http_put_response_hop_limit=1,
            detailed_monitoring=True,
            # One that is throttled measures itself
            credit_specification=ec2.CpuCredits.UNLIMITED,
            propagate_tags_to_volume_on_creation=True,
        )
        cdk.CfnOutput(self, "Instance", value=instance.instance_id, description="Where Locust is run")

    def _group(self, network: NetworkStack) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Group",
            vpc=network.vpc,
            description="Load generator: reached by nobody",
            allow_all_outbound=False,
        )
        for port, name in ((HTTP, "load"), (HTTPS, "load, and AWS")):
            # A balancer that faces the internet is reached at its public addresses, which no group stands for
            group.add_egress_rule(ec2.Peer.any_ipv4(), port, name)
        for id_, port in (("Http", 80), ("Https", 443)):
            # Here and not in the network, which does not change for it
            ec2.CfnSecurityGroupIngress(
                self,
                f"{id_}ToBalancer",
                group_id=network.balancer_group.security_group_id,
                source_security_group_id=group.security_group_id,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="load from within the region",
            )
        return group
