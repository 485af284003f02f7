"""A group of equal instances over both zones, replaced one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks import names
from stacks.constructs.buckets import removal
from stacks.constructs.identity import identity
from stacks.constructs.user_data import user_data
from stacks.network import NetworkStack
from stacks.profiles import NONE, FleetSize, Profile

VOLUME_GIB = 30  # with the instance type's 2 vCPU and 2 GiB, what the business has decided on
# Resolved when an instance starts, so that a deployment for another reason does not replace a fleet
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
# A boot takes about 2 minutes. It may also wait 10 for packages and 5 for a migration, see userdata/boot.sh and
# database.sh: until then nothing answers health checks
LONGEST_START = cdk.Duration.minutes(20)
# Longer than that, so that nobody ends what is only slow. A boot that fails powers its instance off, which no grace
# covers
GRACE = cdk.Duration.minutes(25)
# After which a boot waits another 10 for its service to be ready as well: for whoever deploys
BOOT_AT_MOST = cdk.Duration.minutes(35)
# From the request for an instance to its first job or answer: what a new one needs before its numbers count
WARM_UP = cdk.Duration.seconds(120)


class Fleet(Construct):
    """Launch template, group, identity and log group of one service."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        network: NetworkStack,
        security_group: ec2.ISecurityGroup,
        size: FleetSize,
        health_checks: autoscaling.HealthChecks,
        scripts: Sequence[Path],
        values: Mapping[str, str],
        group_name: str | None = None,
        launches_first: bool = False,
    ) -> None:
        """`values` are what `scripts` are told besides what every instance is.

        A fleet that `launches_first` has the successor of an instance that is unwell before it ends that, and may
        have a third more instances for as long as that takes.
        """
        super().__init__(scope, id_)
        self.log_group = logs.LogGroup(
            self, "Logs", retention=_retention(profile.log_days), removal_policy=removal(profile)
        )
        self._identity = identity(self, profile)
        self.role: iam.IRole = self._identity.role
        template = self._template(profile, security_group, user_data(scripts, self._common(profile) | dict(values)))
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name=group_name,
            vpc=network.vpc,
            vpc_subnets=network.fleet_subnets,
            launch_template=template,
            min_capacity=size.at_least,
            max_capacity=size.at_most,
            health_checks=health_checks,
            default_instance_warmup=WARM_UP,
            # Without them GroupInServiceInstances does not exist, and nothing scales on it
            group_metrics=[autoscaling.GroupMetrics.all()],
            # A fleet of none has nobody to wait for, and CloudFormation no update that would leave fewer in service
            signals=None if size == NONE else autoscaling.Signals.wait_for_min_capacity(timeout=BOOT_AT_MOST),
            update_policy=None if size == NONE else _one_by_one(size),
            min_healthy_percentage=100 if launches_first else None,
            max_healthy_percentage=133 if launches_first else None,
            termination_policies=[
                autoscaling.TerminationPolicy.OLDEST_LAUNCH_TEMPLATE,
                autoscaling.TerminationPolicy.OLDEST_INSTANCE,
            ],
        )
        resource = self.group.node.default_child
        assert isinstance(resource, cdk.CfnResource)  # noqa: S101 every group has one
        resource.override_logical_id(names.GROUP_LOGICAL_ID)
        self._allow_boot(profile.names)

    def _common(self, profile: Profile) -> dict[str, str]:
        """Return what every instance is told."""
        return {
            "REGION": profile.region,
            "STACK_NAME": cdk.Stack.of(self).stack_name,
            "SIGNAL_RESOURCE": names.GROUP_LOGICAL_ID,
            "LOG_GROUP": self.log_group.log_group_name,
            "DATABASE_PARAMETER": profile.names.database_parameter,
            "METRICS_NAMESPACE": profile.names.metrics_namespace,
        }

    def _template(
        self, profile: Profile, security_group: ec2.ISecurityGroup, script: ec2.UserData
    ) -> ec2.LaunchTemplate:
        return ec2.LaunchTemplate(
            self,
            "Template",
            machine_image=ec2.MachineImage.resolve_ssm_parameter_at_launch(IMAGE, os=ec2.OperatingSystemType.LINUX),
            instance_type=ec2.InstanceType(profile.instance_type),
            instance_profile=self._identity.instance_profile,
            security_group=security_group,
            user_data=script,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        VOLUME_GIB, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
            require_imdsv2=True,
            http_tokens=ec2.LaunchTemplateHttpTokens.REQUIRED,
            http_put_response_hop_limit=1,
            detailed_monitoring=True,
            # Encoding on a throttled instance takes five times as long and costs the same per video
            cpu_credits=ec2.CpuCredits.UNLIMITED if profile.instance_type.startswith("t") else None,
        )

    def _allow_boot(self, its: names.Names) -> None:
        """Allow what boot and log agent do on every instance."""
        stack = cdk.Stack.of(self)
        parameter = stack.format_arn(
            service="ssm", resource="parameter", resource_name=its.database_parameter.removeprefix("/")
        )
        secret = stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{its.database_secret}-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.log_group.grant_write(self.role)
        for action, resource in (("ssm:GetParameter", parameter), ("secretsmanager:GetSecretValue", secret)):
            self.role.add_to_principal_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],  # a metric has no ARN
                conditions={"StringEquals": {"cloudwatch:namespace": its.metrics_namespace}},
            )
        )


def _one_by_one(size: FleetSize) -> autoscaling.UpdatePolicy:
    """Replace one instance after the other, each when its successor has said that it serves.

    What would work against that meanwhile is suspended. As many stay as CloudFormation lets stay, one fewer than
    the most there can be: it starts a successor first wherever that leaves room for one. Only a fleet that is at
    its most already, and has nowhere to put a successor, goes on with one instance fewer meanwhile.
    """
    process = autoscaling.ScalingProcess
    return autoscaling.UpdatePolicy.rolling_update(
        max_batch_size=1,
        min_instances_in_service=size.at_most - 1,
        pause_time=BOOT_AT_MOST,
        wait_on_resource_signals=True,
        suspend_processes=[
            process.HEALTH_CHECK,
            process.REPLACE_UNHEALTHY,
            process.AZ_REBALANCE,
            process.ALARM_NOTIFICATION,
            process.SCHEDULED_ACTIONS,
        ],
    )


def _retention(days: int) -> logs.RetentionDays:
    return {7: logs.RetentionDays.ONE_WEEK, 90: logs.RetentionDays.THREE_MONTHS}[days]
