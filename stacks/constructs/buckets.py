"""Buckets that nobody but us can read, over TLS alone."""

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.profiles import Profile


def log_bucket(scope: Construct, id_: str, profile: Profile) -> s3.Bucket:
    """Return a bucket for access logs that forgets them after the profile's days."""
    return s3.Bucket(
        scope,
        id_,
        encryption=s3.BucketEncryption.S3_MANAGED,  # the load balancer can write to no other
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=cdk.Duration.days(profile.log_days),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
            )
        ],
        removal_policy=bucket_removal(profile),
    )


def bucket_removal(profile: Profile) -> cdk.RemovalPolicy:
    """Return what becomes of a bucket when its stack is destroyed.

    CloudFormation deletes no bucket with something in it, so a destruction would fail: `cdk destroy` keeps the bucket
    and `make destroy` takes it afterwards, unless the profile keeps data. A first creation that fails leaves none.
    """
    return cdk.RemovalPolicy.RETAIN if profile.keeps_data else cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE


def removal(profile: Profile) -> cdk.RemovalPolicy:
    """Return what becomes of a thing that holds data when its stack is destroyed."""
    return cdk.RemovalPolicy.RETAIN if profile.keeps_data else cdk.RemovalPolicy.DESTROY
