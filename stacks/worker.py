"""The instances that process videos, and how many of them there are."""

from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks import names
from stacks.constructs.artefacts import Artefact, Sources
from stacks.constructs.backlog_scaling import BacklogScaling
from stacks.constructs.fleet import GRACE, Fleet
from stacks.media import MediaStack
from stacks.network import NetworkStack
from stacks.profiles import Profile
from stacks.settings import StackSettings

# A job takes about 30 s, on an exhausted instance five times that; a worker that needs longer asks for more time
FINISH_WITHIN = cdk.Duration.minutes(5)


class WorkerStack(cdk.Stack):
    """What nobody reaches: workers ask for their work."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        network: NetworkStack,
        media: MediaStack,
        sources: Sources,
        **settings: Unpack[StackSettings],
    ) -> None:
        super().__init__(scope, id_, description="ANB Rising Stars: workers", **settings)
        artefact = Artefact(self, "Artefact", sources.artefacts / "worker.zip")
        # Its own artefact: 40 times the size of ours, and it changes once a year
        ffmpeg = Artefact(self, "Ffmpeg", sources.artefacts / "ffmpeg.zip")
        self.fleet = Fleet(
            self,
            "Fleet",
            profile=profile,
            network=network,
            security_group=network.worker_group,
            size=profile.workers,
            health_checks=autoscaling.HealthChecks.ec2(grace_period=GRACE),
            scripts=sources.scripts("worker"),
            values={
                "ARTEFACT_ADDRESS": artefact.address,
                "ARTEFACT_SHA256": artefact.sha256,
                "FFMPEG_ADDRESS": ffmpeg.address,
                "FFMPEG_SHA256": ffmpeg.sha256,
                "MEDIA_BUCKET": media.videos.bucket_name,
                "QUEUE_URL": media.jobs.queue.queue_url,
                "GROUP_NAME": profile.names.worker_group,
                "HOOK_NAME": names.TERMINATION_HOOK,
                "PROCESSES": str(profile.processes_per_worker),
                "MEMORY_MIB": str(profile.worker_process_mib),
            },
            group_name=profile.names.worker_group,
        )
        artefact.grant_read(self.fleet.role)
        ffmpeg.grant_read(self.fleet.role)
        media.grant_worker(self.fleet.role)
        self._let_workers_end_themselves(profile.names.worker_group)
        self.scaling = BacklogScaling(
            self,
            "Scaling",
            group=self.fleet.group,
            queue=media.jobs.queue,
            processes=profile.processes_per_worker,
        )
        if profile.workers.can_scale:
            self.scaling.follow()

    def _let_workers_end_themselves(self, group_name: str) -> None:
        """Wait for a worker before its instance ends; it watches its own metadata, so no role notifies anybody."""
        self.fleet.group.add_lifecycle_hook(
            "FinishJob",
            lifecycle_hook_name=names.TERMINATION_HOOK,
            lifecycle_transition=autoscaling.LifecycleTransition.INSTANCE_TERMINATING,
            heartbeat_timeout=FINISH_WITHIN,
            default_result=autoscaling.DefaultResult.CONTINUE,
        )
        # Group ARNs hold an id that only deployment knows; the name after it is ours alone
        group = self.format_arn(
            service="autoscaling",
            resource="autoScalingGroup",
            resource_name=f"*:autoScalingGroupName/{group_name}",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.fleet.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "autoscaling:CompleteLifecycleAction",
                    "autoscaling:RecordLifecycleActionHeartbeat",
                    "autoscaling:SetInstanceProtection",
                ],
                resources=[group],
            )
        )
