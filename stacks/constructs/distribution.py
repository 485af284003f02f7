"""HTTPS for viewers everywhere, without owning a domain, and the only way to a load balancer without addresses."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.media import PICTURES, RESULTS
from stacks.profiles import Profile

# It closes idle connections before the load balancer does (65 s), and waits for an answer for longer than that.
# Its quotas allow 120 s: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
KEPT = cdk.Duration.seconds(60)
ANSWER = cdk.Duration.seconds(70)
# Where nothing else is cached, an error still is for 10 s, and told to whoever else asks; unless one says otherwise:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
ERRORS = (400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504)
STATIC = "static/*"


class Distribution(Construct):
    """Pages and API from the load balancer, uncached; what is published from its bucket, kept for long."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        balancer: elb.ApplicationLoadBalancer,
        published: s3.IBucket | None,
        firewall_arn: str | None,
    ) -> None:
        """`published` is a bucket that lets CloudFront read, in the stack of this construct."""
        super().__init__(scope, id_)
        # Both are names in an account for all regions
        self._name = f"{cdk.Stack.of(self).stack_name}-{profile.region}"
        site = self._site(balancer)
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"ANB Rising Stars, {self._name}",
            default_behavior=cloudfront.BehaviorOptions(
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                **site,
            ),
            additional_behaviors={
                # As long as the application says of each file
                STATIC: cloudfront.BehaviorOptions(
                    cache_policy=cloudfront.CachePolicy.USE_ORIGIN_CACHE_CONTROL_HEADERS, **site
                ),
                **(self._media(published) if published else {}),
            },
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0)) for status in ERRORS
            ],
            # The API counts by address, of which a viewer with IPv6 has more than anybody can count
            enable_ipv6=False,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            web_acl_id=firewall_arn,
            **self._domain(profile),
        )
        self.url = f"https://{profile.domain_name or self.distribution.domain_name}"

    def _site(self, balancer: elb.ApplicationLoadBalancer) -> dict[str, Any]:
        """Return how requests get to the load balancer: whole, and with who asks and how in headers of their own."""
        origin = origins.VpcOrigin.with_application_load_balancer(
            balancer,
            vpc_origin_name=self._name,
            # Within AWS's own network. A certificate for it would need a domain
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTP_ONLY,
            keepalive_timeout=KEPT,
            read_timeout=ANSWER,
        )
        return {
            "origin": origin,
            "origin_request_policy": cloudfront.OriginRequestPolicy.ALL_VIEWER_AND_CLOUDFRONT_2022,
            "viewer_protocol_policy": cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        }

    def _media(self, published: s3.IBucket) -> dict[str, cloudfront.BehaviorOptions]:
        cdk.Annotations.of(self).acknowledge_warning(
            "@aws-cdk/aws-cloudfront-origins:updateImportedBucketPolicyOac", "stacks/media.py lets it read"
        )
        access = cloudfront.S3OriginAccessControl(self, "Access", origin_access_control_name=self._name)
        behavior = cloudfront.BehaviorOptions(
            origin=origins.S3BucketOrigin.with_origin_access_control(published, origin_access_control=access),
            # Each object says how long: for ever
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            response_headers_policy=cloudfront.ResponseHeadersPolicy.CORS_ALLOW_ALL_ORIGINS,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            compress=False,
        )
        return {RESULTS: behavior, PICTURES: behavior}

    def _domain(self, profile: Profile) -> dict[str, Any]:
        if not (profile.domain_name and profile.certificate_arn):
            return {}
        return {
            "domain_names": [profile.domain_name],
            "certificate": acm.Certificate.from_certificate_arn(self, "Certificate", profile.certificate_arn),
            "minimum_protocol_version": cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
        }
