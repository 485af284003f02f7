"""The API's load balancer and its instances in two zones, and how many of them there are."""

from dataclasses import dataclass
from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from stacks.constructs.artefacts import Artefact, Sources
from stacks.constructs.distribution import Distribution
from stacks.constructs.firewall import firewall
from stacks.constructs.fleet import GRACE, Fleet
from stacks.media import MediaStack
from stacks.network import NetworkStack
from stacks.profiles import Profile
from stacks.settings import StackSettings

PORT = 80  # nginx on the instances
# It closes idle connections before nginx does (75 s), and waits for an answer for longer than nginx (60 s)
IDLE = cdk.Duration.seconds(65)
# Whether the process answers. A check that asked the database would have the whole fleet replaced when that is away
HEALTH_PATH = "/healthz"
CHECK_INTERVAL = cdk.Duration.seconds(15)
# Under ten times the load that a server can bear its slowest answer took 1.2 s (docs/performance.md, `make abuse`);
# one that has used up its CPU credits is five times slower
CHECK_TIMEOUT = cdk.Duration.seconds(10)
# A minute: starting the API again, as after a new database, takes some seconds of that
MAX_FAILED_CHECKS = 4
# The longest request: 100 MB at 8 Mbit/s take 100 s, and nginx gives the API 60 s more. No longer than that either:
# target tracking needs 3 minutes to ask for an instance again, so one that drains is gone before another starts
DRAINING = cdk.Duration.seconds(180)
# A minute's requests that leave an instance room: 25 a second, most of them rankings and votes of a few milliseconds,
# a sign-in among them some 25 ms of one core. CPU is the second opinion for heavier mixes
REQUESTS_PER_MINUTE = 1500
CPU_PERCENT = 60
# What one player may upload, out of the way of load tests: a few accounts send there what a city would
RAISED_LIMITS = "ANB_MAX_OPEN_RESERVATIONS=100000 ANB_MAX_UPLOADS_AN_HOUR=100000 ANB_MAX_WAITING_BYTES=1000000000000"


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Where the site is, where everybody reads published videos (or nowhere), and how an instance learns who asks."""

    url: str
    media_url: str = ""
    client_header: str = "X-Forwarded-For"
    scheme_variable: str = "http_x_forwarded_proto"


class WebStack(cdk.Stack):
    """What the internet reaches."""

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
        super().__init__(scope, id_, description="ANB Rising Stars: load balancer and API", **settings)
        # Here rather than beside the database: destroying that must not sign everybody out
        token_secret = self._secret("TokenSecret", "Signs the API's tokens")
        address_secret = self._secret("AddressKey", "Hashes the addresses from which players sign up and vote")
        self.balancer = self._balancer(profile, network)
        entrance = self._distributed(profile, media) if profile.cloudfront else self._direct(profile)
        artefact = Artefact(self, "Artefact", sources.artefacts / "web.zip")
        self.fleet = Fleet(
            self,
            "Fleet",
            profile=profile,
            network=network,
            security_group=network.web_group,
            size=profile.web,
            health_checks=autoscaling.HealthChecks.with_additional_checks(
                additional_types=[autoscaling.AdditionalHealthCheckType.ELB], grace_period=GRACE
            ),
            launches_first=True,
            scripts=sources.scripts("web"),
            values={
                "ARTEFACT_ADDRESS": artefact.address,
                "ARTEFACT_SHA256": artefact.sha256,
                "MEDIA_BUCKET": media.videos.bucket_name,
                "QUEUE_URL": media.jobs.queue.queue_url,
                "JWT_SECRET_ID": token_secret.secret_arn,
                "ADDRESS_SECRET_ID": address_secret.secret_arn,
                "PORT": str(PORT),
                "MEMORY_MIB": str(profile.web_mib),
                "TRUSTED_NETWORKS": network.vpc.vpc_cidr_block,
                "CLIENT_HEADER": entrance.client_header,
                "SCHEME_VARIABLE": entrance.scheme_variable,
                "CORS_ORIGINS": profile.cors_origins,
                "MEDIA_URL": entrance.media_url,
                "RAISED_LIMITS": "" if profile.upload_limits else f" {RAISED_LIMITS}",
            },
        )
        artefact.grant_read(self.fleet.role)
        secrets = [token_secret.secret_arn, address_secret.secret_arn]
        self.fleet.role.add_to_principal_policy(
            iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=secrets)
        )
        media.grant_web(self.fleet.role)

        self.targets = self._targets(network)
        self._listen(None if profile.cloudfront else profile.certificate_arn)
        if profile.web.can_scale:
            self._scale()
        cdk.CfnOutput(self, "Url", value=entrance.url, description="The site and its API")

    def _secret(self, id_: str, description: str) -> secretsmanager.Secret:
        return secretsmanager.Secret(
            self,
            id_,
            description=description,
            generate_secret_string=secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True),
        )

    def _direct(self, profile: Profile) -> Entrance:
        """Let viewers come to the load balancer."""
        if profile.firewall:
            wafv2.CfnWebACLAssociation(
                self,
                "FirewallAssociation",
                resource_arn=self.balancer.load_balancer_arn,
                web_acl_arn=firewall(self, "Firewall", for_cloudfront=False).attr_arn,
            )
        scheme = "https" if profile.certificate_arn else "http"
        return Entrance(url=f"{scheme}://{self.balancer.load_balancer_dns_name}")

    def _distributed(self, profile: Profile, media: MediaStack) -> Entrance:
        """Let viewers come to CloudFront."""
        # By its name: the bucket's own stack cannot know a distribution that comes after it
        published = s3.Bucket.from_bucket_name(self, "Published", media.videos.bucket_name)
        site = Distribution(
            self,
            "Site",
            profile=profile,
            balancer=self.balancer,
            published=published if media.is_published else None,
            firewall_arn=firewall(self, "Firewall", for_cloudfront=True).attr_arn if profile.firewall else None,
        )
        name = site.distribution.domain_name
        cdk.CfnOutput(
            self, "DistributionName", value=name, description="What a domain of yours is an alias (CNAME) of"
        )
        return Entrance(
            url=site.url,
            media_url=site.url if media.is_published else "",
            client_header="CloudFront-Viewer-Address",
            scheme_variable="http_cloudfront_forwarded_proto",
        )

    def _targets(self, network: NetworkStack) -> elb.ApplicationTargetGroup:
        return elb.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=network.vpc,
            port=PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[self.fleet.group],
            deregistration_delay=DRAINING,
            health_check=elb.HealthCheck(
                path=HEALTH_PATH,
                interval=CHECK_INTERVAL,
                timeout=CHECK_TIMEOUT,
                healthy_threshold_count=2,
                unhealthy_threshold_count=MAX_FAILED_CHECKS,
                healthy_http_codes="200",
            ),
        )

    def _balancer(self, profile: Profile, network: NetworkStack) -> elb.ApplicationLoadBalancer:
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network.vpc,
            vpc_subnets=network.fleet_subnets
            if profile.cloudfront
            else ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            internet_facing=not profile.cloudfront,
            security_group=network.balancer_group,
            drop_invalid_header_fields=True,
            idle_timeout=IDLE,
            deletion_protection=profile.keeps_data,
        )
        balancer.log_access_logs(network.logs, "balancer")
        return balancer

    def _listen(self, certificate_arn: str | None) -> None:
        if certificate_arn is None:
            self.balancer.add_listener("Http", port=80, open=False, default_target_groups=[self.targets])
            return
        self.balancer.add_listener(
            "Http",
            port=80,
            open=False,
            default_action=elb.ListenerAction.redirect(protocol="HTTPS", port="443", permanent=True),
        )
        self.balancer.add_listener(
            "Https",
            port=443,
            open=False,
            certificates=[elb.ListenerCertificate.from_arn(certificate_arn)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            default_target_groups=[self.targets],
        )

    def _scale(self) -> None:
        """Ask for more when either signal does, for fewer when both do."""
        self.fleet.group.scale_on_request_count("Requests", target_requests_per_minute=REQUESTS_PER_MINUTE)
        self.fleet.group.scale_on_cpu_utilization("Cpu", target_utilization_percent=CPU_PERCENT)
