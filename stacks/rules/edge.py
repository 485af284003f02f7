"""What a system behind CloudFront is held to: nobody comes in by another way, or sees what is not for everybody."""

from collections.abc import Iterator, Mapping
from typing import Any

from stacks.cloudfront import PREFIX_LISTS
from stacks.constructs.distribution import ERRORS, STATIC
from stacks.media import PICTURES, RESULTS
from stacks.rules.assembly import Assembly, Resource, Rule

BALANCER, DISTRIBUTION = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::CloudFront::Distribution"
VPC_ORIGIN, POLICY = "AWS::CloudFront::VpcOrigin", "AWS::S3::BucketPolicy"
CLOUDFRONT = {"Service": "cloudfront.amazonaws.com"}
PUBLISHED = (RESULTS, PICTURES)
ENCRYPTED = ("redirect-to-https", "https-only")
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
USE_ORIGIN_CACHE_CONTROL = "83da9c7e-98b4-4e11-a168-04f0df8e2c65"

Found = Iterator[tuple[Resource | str, str]]


def entrance(assembly: Assembly) -> Found:
    """Load balancers have no address in the internet, and groups admit no address: other groups, and CloudFront."""
    origins = [
        assembly.follow(origin.stack, origin.properties["VpcOriginEndpointConfig"]["Arn"])
        for origin in assembly.resources(VPC_ORIGIN)
    ]
    for balancer in assembly.resources(BALANCER):
        if balancer.properties.get("Scheme") != "internal" or balancer not in origins:
            yield balancer, "CloudFront alone reaches a load balancer: it is internal, and a VPC origin"
    for resource, rule in _admissions(assembly):
        if rule.keys() & {"CidrIp", "CidrIpv6"}:
            yield resource, "a security group admits groups and CloudFront, and no addresses"
        elif rule.get("SourcePrefixListId", PREFIX_LISTS[assembly.region]) != PREFIX_LISTS[assembly.region]:
            yield resource, f"CloudFront comes from {PREFIX_LISTS[assembly.region]} in {assembly.region}"


def https(assembly: Assembly) -> Found:
    distributions = list(assembly.resources(DISTRIBUTION))
    if not distributions:
        yield from ((stack, "there is no distribution") for stack in list(assembly.templates)[:1])
    for distribution in distributions:
        if any(behavior["ViewerProtocolPolicy"] not in ENCRYPTED for behavior in _behaviors(distribution)):
            yield distribution, "a viewer is led from HTTP to HTTPS"


def published_alone(assembly: Assembly) -> Found:
    """Of buckets everybody reads results and pictures, through CloudFront."""
    for distribution in assembly.resources(DISTRIBUTION):
        signed = {
            origin["Id"]: "OriginAccessControlId" in origin
            for origin in distribution.properties["DistributionConfig"]["Origins"]
            if "S3OriginConfig" in origin
        }
        for behavior in _behaviors(distribution):
            is_signed = signed.get(behavior["TargetOriginId"], True)
            is_bucket = behavior["TargetOriginId"] in signed
            if not is_signed or (is_bucket and behavior.get("PathPattern") not in PUBLISHED):
                yield distribution, f"of a bucket everybody reads {' and '.join(PUBLISHED)}, by origin access control"
    for policy in assembly.resources(POLICY):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            if statement.get("Principal") == CLOUDFRONT and not _is_published(statement):
                yield policy, f"CloudFront gets {' and '.join(PUBLISHED)} for distributions of this account"


def uncached(assembly: Assembly) -> Found:
    """Pages and API are kept by nobody but as they say themselves; an error says nothing, and is kept by nobody."""
    for distribution in assembly.resources(DISTRIBUTION):
        config = distribution.properties["DistributionConfig"]
        if config["DefaultCacheBehavior"]["CachePolicyId"] != CACHING_DISABLED:
            yield distribution, "answers to one viewer are not kept for another"
        for behavior in config.get("CacheBehaviors", []):
            path, policy = behavior["PathPattern"], behavior["CachePolicyId"]
            if path not in PUBLISHED and (path, policy) != (STATIC, USE_ORIGIN_CACHE_CONTROL):
                yield distribution, f"{path} is not kept unless the application says so"
        kept = {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in config.get("CustomErrorResponses", [])}
        if any(kept.get(status) != 0 for status in ERRORS):
            yield distribution, f"errors are not kept: {', '.join(map(str, ERRORS))}"


def _admissions(assembly: Assembly) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    for resource in assembly.resources("AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"):
        for rule in resource.properties.get("SecurityGroupIngress", [resource.properties]):
            yield resource, rule


def _behaviors(distribution: Resource) -> list[Mapping[str, Any]]:
    config = distribution.properties["DistributionConfig"]
    return [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", [])]


def _is_published(statement: Mapping[str, Any]) -> bool:
    resources = [str(resource) for resource in statement["Resource"]]
    return (
        statement["Action"] == "s3:GetObject"
        and all(any(f"/{keys}'" in resource for keys in PUBLISHED) for resource in resources)
        and "AWS:SourceArn" in statement.get("Condition", {}).get("StringLike", {})
    )


EDGE_RULES = (
    Rule("Entrance", entrance),
    Rule("Https", https),
    Rule("PublishedAlone", published_alone),
    Rule("Uncached", uncached),
)
