"""Who the instances are: a role of their own, or the one that the lab lends."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.profiles import Profile


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A role, and the instance profile that carries it to an instance."""

    role: iam.IRole
    instance_profile: iam.IInstanceProfile


def identity(scope: Construct, profile: Profile) -> Identity:
    """Return the identity of a fleet.

    A borrowed role is immutable, so that granting to it adds nothing to the template; and it comes with its own
    instance profile, since giving CDK the role alone would make one.
    """
    if profile.borrowed_role is None:
        managed = iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
        role = iam.Role(
            scope, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"), managed_policies=[managed]
        )
        return Identity(role=role, instance_profile=iam.InstanceProfile(scope, "InstanceProfile", role=role))
    borrowed = iam.Role.from_role_name(scope, "Role", profile.borrowed_role, mutable=False)
    arn = cdk.Stack.of(scope).format_arn(
        service="iam", region="", resource="instance-profile", resource_name=profile.borrowed_instance_profile
    )
    carried = iam.InstanceProfile.from_instance_profile_attributes(
        scope, "InstanceProfile", instance_profile_arn=arn, role=borrowed
    )
    return Identity(role=borrowed, instance_profile=carried)
