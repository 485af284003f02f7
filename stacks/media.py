"""The videos and the work that waits for them."""

from collections.abc import Sequence
from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.constructs.buckets import bucket_removal
from stacks.constructs.job_queue import JobQueue
from stacks.network import NetworkStack
from stacks.profiles import Profile
from stacks.settings import StackSettings

INCOMING, SOURCES, RESULTS, PICTURES = "incoming/*", "uploads/*", "processed/*", "thumbnails/*"

ENQUEUE = ("sqs:SendMessage", "sqs:GetQueueAttributes")
WORK = ("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage")


class MediaStack(cdk.Stack):
    """The bucket with originals and results, and the queue of jobs."""

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
            description="ANB Rising Stars: videos and job queue",
            termination_protection=profile.keeps_data,
            **settings,
        )
        own = _videos(self, profile, network.logs)
        if profile.cloudfront:
            self._let_cloudfront_read(own)
        self.videos = self._chosen(own, profile.media_bucket)
        # A bucket that was named has a policy of its owner's: its links are signed
        self.is_published = profile.cloudfront and profile.media_bucket is None
        self.jobs = JobQueue(self, "Jobs", name=profile.names.job_queue)
        cdk.CfnOutput(self, "Bucket", value=self.videos.bucket_name, description="Where the videos are")
        cdk.CfnOutput(self, "Queue", value=self.jobs.queue.queue_url, description="The job queue")

    def _chosen(self, own: s3.Bucket, named: str | None) -> s3.IBucket:
        """Return the bucket that was named, or our own.

        Our own is there either way, and so is what the fleets import of it: CloudFormation takes back no export
        that is in use, and naming a bucket must not delete the videos in another.
        """
        self.export_value(own.bucket_name)
        self.export_value(own.bucket_arn)
        return s3.Bucket.from_bucket_name(self, "Named", named) if named else own

    def _let_cloudfront_read(self, bucket: s3.Bucket) -> None:
        """Let our distributions read what is published.

        Every result and picture is: their keys hold ids that nobody guesses until a list shows them to everybody. Any
        distribution of the account, since ours comes after this stack and knows the bucket.
        """
        distributions = self.format_arn(service="cloudfront", region="", resource="distribution", resource_name="*")
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
                actions=["s3:GetObject"],
                resources=[bucket.arn_for_objects(key) for key in (RESULTS, PICTURES)],
                conditions={"StringLike": {"AWS:SourceArn": distributions}},
            )
        )

    def grant_web(self, role: iam.IRole) -> None:
        """Allow what the API does: sign forms and links, copy what was posted, delete videos, enqueue jobs."""
        everything = [INCOMING, SOURCES, RESULTS, PICTURES]
        reads = [INCOMING, SOURCES] if self.is_published else everything
        self._grant(role, reads=reads, writes=[INCOMING, SOURCES], deletes=everything)
        self.jobs.queue.grant(role, *ENQUEUE)
        self.jobs.dead_letters.grant(role, "sqs:GetQueueAttributes")  # `ops status` runs beside the API

    def grant_worker(self, role: iam.IRole) -> None:
        """Allow what a worker does: read sources, keep results and discard its own, receive and enqueue jobs."""
        self._grant(role, reads=[SOURCES], writes=[RESULTS, PICTURES], deletes=[RESULTS, PICTURES])
        self.jobs.queue.grant(role, *ENQUEUE, *WORK)

    def _grant(self, role: iam.IRole, *, reads: Sequence[str], writes: Sequence[str], deletes: Sequence[str]) -> None:
        """Allow exactly the actions that the services call; CDK's own grants allow whole families of them."""
        for action, keys in (("s3:GetObject", reads), ("s3:PutObject", writes), ("s3:DeleteObject", deletes)):
            resources = [self.videos.arn_for_objects(key) for key in keys]
            role.add_to_principal_policy(iam.PolicyStatement(actions=[action], resources=resources))
        listing = iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.videos.bucket_arn])
        role.add_to_principal_policy(listing)


def _videos(scope: Construct, profile: Profile, logs: s3.IBucket) -> s3.Bucket:
    return s3.Bucket(
        scope,
        "Videos",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        versioned=True,
        server_access_logs_bucket=logs,
        server_access_logs_prefix="videos/",
        lifecycle_rules=[
            s3.LifecycleRule(
                id="abandoned",
                abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                noncurrent_version_expiration=cdk.Duration.days(7),
                expired_object_delete_marker=True,
            ),
            # What browsers post by themselves; what was accepted of it is copied to the sources
            s3.LifecycleRule(
                id="incoming",
                prefix=INCOMING.removesuffix("*"),
                expiration=cdk.Duration.days(1),
                noncurrent_version_expiration=cdk.Duration.days(1),
            ),
            # Players may fetch their original for as long as the video stands, which is rare once it is processed
            s3.LifecycleRule(
                id="sources",
                prefix=SOURCES.removesuffix("*"),
                transitions=[
                    s3.Transition(
                        storage_class=s3.StorageClass.INFREQUENT_ACCESS, transition_after=cdk.Duration.days(30)
                    )
                ],
            ),
        ],
        # Browsers post files straight here. Any origin may: the signed policy is the permission, no cookie takes
        # part, and the site's own address (the load balancer's) is only known after this stack
        cors=[
            s3.CorsRule(
                allowed_methods=[s3.HttpMethods.POST, s3.HttpMethods.GET],
                allowed_origins=["*"],
                allowed_headers=["*"],
                exposed_headers=["ETag"],
                max_age=3600,
            )
        ],
        removal_policy=bucket_removal(profile),
    )
