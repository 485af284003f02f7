"""The database and its credentials: destroyed and created again on its own, while the rest stays.

Nothing imports from this stack. It opens no door but that of the network's database group, and tells where its
credentials are by a parameter with a known name.
"""

from typing import Any, Unpack

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_rds as rds
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks.network import NetworkStack
from stacks.profiles import Profile
from stacks.settings import StackSettings

# No minor version: RDS gives a new database its default one and raises it by itself, and a template that names one is
# wrong from then on. CloudFormation calls that a drift, and RDS refuses what would lower it. A version without its
# last number is matched by its beginning:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
ENGINE = rds.DatabaseInstanceEngine.mysql(version=rds.MysqlEngineVersion.of("8.4", "8.4"))
SCHEMA = USER = "anb"


class DataStack(cdk.Stack):
    """RDS MySQL in isolated subnets, encrypted, reached over TLS alone."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        network: NetworkStack,
        **settings: Unpack[StackSettings],
    ) -> None:
        super().__init__(
            scope,
            id_,
            description="ANB Rising Stars: database",
            termination_protection=profile.keeps_data,
            **settings,
        )
        shape = profile.database
        common: dict[str, Any] = {
            "engine": ENGINE,
            "instance_identifier": profile.names.database_instance,
            "instance_type": ec2.InstanceType(shape.instance_class.removeprefix("db.")),
            "vpc": network.vpc,
            "vpc_subnets": ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            "security_groups": [network.database_group],
            "publicly_accessible": False,
            "multi_az": shape.multi_az,
            "allocated_storage": shape.storage_gib,
            "storage_type": rds.StorageType[shape.storage_type.upper()],
            "parameter_group": _parameters(self),
            "ca_certificate": rds.CaCertificate.RDS_CA_RSA2048_G1,
            "backup_retention": cdk.Duration.days(shape.backup_days),
            "delete_automated_backups": not profile.keeps_data,
            "deletion_protection": profile.keeps_data,
            "removal_policy": cdk.RemovalPolicy.SNAPSHOT if profile.keeps_data else cdk.RemovalPolicy.DESTROY,
            "copy_tags_to_snapshot": True,
            "auto_minor_version_upgrade": True,
            "engine_lifecycle_support": rds.EngineLifecycleSupport.OPEN_SOURCE_RDS_EXTENDED_SUPPORT_DISABLED,
        }
        secret = rds.DatabaseSecret(self, "Secret", username=USER)
        _named(secret, profile.names.database_secret)
        self.database = _created(self, common, secret, profile.database_snapshot)
        # Of the attachment, which adds the host to the secret: whoever finds the parameter finds a complete secret
        attached = self.database.secret
        assert attached is not None  # noqa: S101 both ways of creating the database attach one
        ssm.StringParameter(
            self,
            "Parameter",
            parameter_name=profile.names.database_parameter,
            string_value=attached.secret_arn,
            description="ARN of the secret that holds host, user and password of the database",
        )


def _created(
    scope: Construct, common: dict[str, Any], secret: rds.DatabaseSecret, snapshot: str | None
) -> rds.DatabaseInstance | rds.DatabaseInstanceFromSnapshot:
    """Return an empty database, or one with a snapshot's content and a new password."""
    if snapshot:
        # Of the snapshot's own version: CloudFormation asks for the template's once more when it has restored it, and
        # RDS's default may be a lower minor than what the snapshot has been raised to, which is refused
        common = common | {"engine": rds.DatabaseInstanceEngine.MYSQL}
        credentials = rds.SnapshotCredentials.from_secret(secret)
        return rds.DatabaseInstanceFromSnapshot(
            scope, "Database", snapshot_identifier=snapshot, credentials=credentials, **common
        )
    return rds.DatabaseInstance(
        scope,
        "Database",
        database_name=SCHEMA,
        credentials=rds.Credentials.from_secret(secret),
        storage_encrypted=True,
        **common,
    )


def _named(secret: rds.DatabaseSecret, logical_id: str) -> None:
    """Fix what CloudFormation begins the secret's name with, so that production's roles can be limited to it."""
    resource = secret.node.default_child
    assert isinstance(resource, cdk.CfnResource)  # noqa: S101 every secret has one
    resource.override_logical_id(logical_id)


def _parameters(scope: Construct) -> rds.ParameterGroup:
    return rds.ParameterGroup(
        scope,
        "Parameters",
        engine=ENGINE,
        description="TLS alone; isolation and character set as the application expects them",
        parameters={
            "require_secure_transport": "1",
            "transaction_isolation": "READ-COMMITTED",
            "character_set_server": "utf8mb4",
            "time_zone": "UTC",
            "slow_query_log": "0",  # it quotes statements with their values, such as those of a sign-up
        },
    )
