"""Production behind CloudFront: HTTPS without a domain, one way in, and what is published at the edge."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stacks.media import PICTURES, RESULTS
from stacks.profiles import PRODUCTION, choose
from stacks.rules.assembly import Assembly, Resource
from stacks.rules.edge import EDGE_RULES
from stacks.rules.plugin import check

DISTRIBUTION, BALANCER = "AWS::CloudFront::Distribution", "AWS::ElasticLoadBalancingV2::LoadBalancer"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
ALL_VIEWER_AND_CLOUDFRONT_HEADERS = "33f36d7e-f396-46d9-90e0-52428a34d9dc"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_DISABLED, CACHING_OPTIMIZED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "658327ea-f89d-4fab-a63d-7e88639e58f6"
USE_ORIGIN_CACHE_CONTROL = "83da9c7e-98b4-4e11-a168-04f0df8e2c65"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-response-headers-policies.html
SIMPLE_CORS = "60669652-455b-4ae9-85a4-c4c02393f86c"
WEB = "AnbWeb"


@pytest.fixture(scope="module")
def plain(write: Callable[..., Assembly]) -> Assembly:
    """Production without any setting."""
    return write(PRODUCTION)


@pytest.fixture(scope="module")
def european(write: Callable[..., Assembly]) -> Assembly:
    return write(choose("production", {"region": "eu-west-1"}))


@pytest.fixture(scope="module")
def with_named_bucket(write: Callable[..., Assembly]) -> Assembly:
    return write(choose("production", {"mediaBucket": "ana-videos"}))


def config(assembly: Assembly) -> Any:
    return assembly.only(WEB, DISTRIBUTION).properties["DistributionConfig"]


def behaviors(assembly: Assembly) -> dict[str, Any]:
    """Return what happens by path."""
    found = config(assembly)
    return {"*": found["DefaultCacheBehavior"], **{it["PathPattern"]: it for it in found["CacheBehaviors"]}}


def origins(assembly: Assembly) -> dict[str, Any]:
    return {origin["Id"]: origin for origin in config(assembly)["Origins"]}


def admits_to(assembly: Assembly, rule: Resource, group: Resource) -> bool:
    return assembly.follow(rule.stack, rule.properties["GroupId"]) == group


def user_data(assembly: Assembly) -> str:
    return json.dumps(assembly.only(WEB, "AWS::EC2::LaunchTemplate").properties)


# ---- the way in


def test_without_a_domain_it_is_https_all_the_same(plain):
    url = plain.templates[WEB]["Outputs"]["Url"]["Value"]

    assert url["Fn::Join"][1][0] == "https://"
    assert plain.follow(WEB, url["Fn::Join"][1][1]) == plain.only(WEB, DISTRIBUTION)
    assert "Aliases" not in config(plain)
    assert {behavior["ViewerProtocolPolicy"] for behavior in behaviors(plain).values()} == {"redirect-to-https"}


def test_a_domain_comes_with_its_certificate_and_a_name_to_point_it_at(production):
    found, outputs = config(production.assembly), production.assembly.templates[WEB]["Outputs"]

    assert found["Aliases"] == ["anb.example.org"]
    assert found["ViewerCertificate"] == {
        "AcmCertificateArn": production.profile.certificate_arn,
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    }
    assert outputs["Url"]["Value"] == "https://anb.example.org"
    assert outputs["DistributionName"]["Value"]["Fn::GetAtt"][1] == "DomainName"


def test_cloudfront_alone_reaches_the_load_balancer(plain):
    balancer = plain.only(WEB, BALANCER)
    origin = plain.only(WEB, "AWS::CloudFront::VpcOrigin").properties["VpcOriginEndpointConfig"]
    subnets = [plain.follow(WEB, subnet) for subnet in balancer.properties["Subnets"]]
    (group,) = (plain.follow(WEB, group) for group in balancer.properties["SecurityGroups"])

    assert balancer.properties["Scheme"] == "internal"
    assert [subnet.properties["MapPublicIpOnLaunch"] for subnet in subnets] == [False, False]
    assert plain.follow(WEB, origin["Arn"]) == balancer
    assert "SecurityGroupIngress" not in group.properties
    rules = [it for it in plain.resources("AWS::EC2::SecurityGroupIngress") if admits_to(plain, it, group)]
    (admitted,) = (rule.properties for rule in rules)
    assert (admitted["SourcePrefixListId"], admitted["FromPort"], admitted["ToPort"]) == ("pl-3b927c52", 80, 80)


def test_in_another_region_cloudfront_comes_from_the_list_there(european):
    network = json.dumps(european.templates["AnbNetwork"])

    assert "pl-4fa04526" in network
    assert "pl-3b927c52" not in network


def test_what_cloudfront_reaches_has_no_tags_that_it_could_not_change(production):
    assert "Tags" not in production.assembly.only(WEB, "AWS::CloudFront::VpcOrigin").properties


def test_what_has_one_name_in_all_regions_is_named_after_stack_and_region(plain, european):
    for assembly, name in ((plain, "AnbWeb-us-east-1"), (european, "AnbWeb-eu-west-1")):
        origin = assembly.only(WEB, "AWS::CloudFront::VpcOrigin").properties["VpcOriginEndpointConfig"]
        access = assembly.only(WEB, "AWS::CloudFront::OriginAccessControl").properties["OriginAccessControlConfig"]
        assert (origin["Name"], access["Name"]) == (name, name)


# ---- who asks


def test_requests_come_whole_and_with_who_asks(plain):
    for path in ("*", "static/*"):
        assert behaviors(plain)[path]["OriginRequestPolicyId"] == ALL_VIEWER_AND_CLOUDFRONT_HEADERS
    assert {"POST", "DELETE", "OPTIONS"} <= set(behaviors(plain)["*"]["AllowedMethods"])


def test_instances_believe_cloudfront_about_who_asks(plain, academy):
    ours = ("ANB_CLIENT_HEADER=CloudFront-Viewer-Address", "ANB_SCHEME_VARIABLE=http_cloudfront_forwarded_proto")
    the_labs = ("ANB_CLIENT_HEADER=X-Forwarded-For", "ANB_SCHEME_VARIABLE=http_x_forwarded_proto")

    for assembly, settings in ((plain, ours), (academy.assembly, the_labs)):
        assert [it for it in settings if it not in user_data(assembly)] == []


def test_viewers_may_come_by_every_version_of_http(plain):
    assert config(plain)["HttpVersion"] == "http2and3"


def test_a_viewer_has_one_address_that_the_api_can_count(plain):
    assert config(plain)["IPV6Enabled"] is False


def test_the_access_list_stands_before_the_distribution(production, plain):
    acl = production.assembly.only(WEB, "AWS::WAFv2::WebACL")

    assert acl.properties["Scope"] == "CLOUDFRONT"
    assert production.assembly.follow(WEB, config(production.assembly)["WebACLId"]) == acl
    assert not list(production.assembly.resources("AWS::WAFv2::WebACLAssociation"))
    assert "WebACLId" not in config(plain)


# ---- what is kept


def test_pages_and_api_are_not_kept_and_files_of_the_site_as_it_says(plain):
    site = behaviors(plain)["*"]["TargetOriginId"]

    assert {path: it["CachePolicyId"] for path, it in behaviors(plain).items() if it["TargetOriginId"] == site} == {
        "*": CACHING_DISABLED,
        "static/*": USE_ORIGIN_CACHE_CONTROL,
    }
    assert "VpcOriginConfig" in origins(plain)[site]
    assert {error["ErrorCachingMinTTL"] for error in config(plain)["CustomErrorResponses"]} == {0}


def test_results_and_pictures_come_from_the_bucket_and_are_kept(plain):
    for keys in (RESULTS, PICTURES):
        behavior = behaviors(plain)[keys]
        origin = origins(plain)[behavior["TargetOriginId"]]
        assert behavior["CachePolicyId"] == CACHING_OPTIMIZED
        assert "AllowedMethods" not in behavior  # GET and HEAD, which are CloudFront's own choice
        assert plain.follow(WEB, origin["DomainName"]["Fn::Join"][1][0]) == plain.only("AnbMedia", "AWS::S3::Bucket")
        access = plain.follow(WEB, origin["OriginAccessControlId"]).properties["OriginAccessControlConfig"]
        assert (access["SigningBehavior"], access["OriginAccessControlOriginType"]) == ("always", "s3")


def test_pages_of_any_site_may_show_what_is_published_as_they_may_from_the_bucket_itself(plain):
    for keys in (RESULTS, PICTURES):
        assert behaviors(plain)[keys]["ResponseHeadersPolicyId"] == SIMPLE_CORS
        assert behaviors(plain)[keys]["Compress"] is False  # they are compressed as they are


def test_links_lead_to_where_the_site_is(plain, production, academy):
    assert "ANB_MEDIA_URL='https://anb.example.org'" in user_data(production.assembly)
    assert 'ANB_MEDIA_URL=\'https://", {"Fn::GetAtt": ["SiteDistribution' in user_data(plain)
    assert "ANB_MEDIA_URL=''" in user_data(academy.assembly)


def test_a_named_buckets_links_are_signed_since_its_policy_is_its_owners(with_named_bucket):
    assert {"S3OriginConfig" in origin for origin in origins(with_named_bucket).values()} == {False}
    assert behaviors(with_named_bucket).keys() == {"*", "static/*"}
    assert "ANB_MEDIA_URL=''" in user_data(with_named_bucket)
    policies = [it for it in with_named_bucket.resources("AWS::IAM::Policy") if it.stack == WEB]
    assert "arn:aws:s3:::ana-videos/processed/*" in json.dumps(
        [
            statement
            for policy in policies
            for statement in policy.properties["PolicyDocument"]["Statement"]
            if statement["Action"] == "s3:GetObject"
        ]
    )


def test_the_lab_has_nothing_of_it(academy):
    assert not [it for it in academy.assembly.resources() if it.type.startswith("AWS::CloudFront::")]
    assert "cloudfront" not in json.dumps(academy.assembly.templates["AnbMedia"]).lower()


# ---- whoever breaks it


BREACHES: list[Any] = []


def breaks(rule: str) -> Callable[[Any], Any]:
    """Note a damage and the rule that must notice it."""

    def note(damage: Any) -> Any:
        BREACHES.append(pytest.param(rule, damage, id=damage.__name__.replace("_", " ")))
        return damage

    return note


def properties(a: Assembly, stack: str, type_: str) -> Any:
    return a.only(stack, type_).definition["Properties"]


def admit(a: Assembly, **who: str) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, **who}
    a.templates[WEB]["Resources"]["Added"] = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule}


def statement_for_cloudfront(a: Assembly) -> Any:
    (found,) = [
        statement
        for statement in properties(a, "AnbMedia", "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    ]
    return found


@breaks("Entrance")
def a_load_balancer_in_the_internet(a: Assembly) -> None:
    properties(a, WEB, BALANCER)["Scheme"] = "internet-facing"


@breaks("Entrance")
def a_load_balancer_that_cloudfront_does_not_reach(a: Assembly) -> None:
    properties(a, WEB, "AWS::CloudFront::VpcOrigin")["VpcOriginEndpointConfig"]["Arn"] = "another"


@breaks("Entrance")
def the_internet_admitted(a: Assembly) -> None:
    admit(a, CidrIp="0.0.0.0/0")


@breaks("Entrance")
def an_address_admitted(a: Assembly) -> None:
    admit(a, CidrIpv6="2001:db8::1/128")


@breaks("Entrance")
def addresses_of_another_region_admitted(a: Assembly) -> None:
    admit(a, SourcePrefixListId="pl-82a045eb")


@breaks("Https")
def no_distribution(a: Assembly) -> None:
    del a.templates[WEB]["Resources"][a.only(WEB, DISTRIBUTION).logical_id]


@breaks("Https")
def pages_in_plain_text(a: Assembly) -> None:
    config(a)["DefaultCacheBehavior"]["ViewerProtocolPolicy"] = "allow-all"


@breaks("Https")
def videos_in_plain_text(a: Assembly) -> None:
    config(a)["CacheBehaviors"][-1]["ViewerProtocolPolicy"] = "allow-all"


@breaks("PublishedAlone")
def originals_at_the_edge(a: Assembly) -> None:
    config(a)["CacheBehaviors"][-1]["PathPattern"] = "uploads/*"


@breaks("PublishedAlone")
def everything_at_the_edge(a: Assembly) -> None:
    found = config(a)
    found["DefaultCacheBehavior"]["TargetOriginId"] = found["CacheBehaviors"][-1]["TargetOriginId"]


@breaks("PublishedAlone")
def a_bucket_asked_without_a_signature(a: Assembly) -> None:
    del config(a)["Origins"][-1]["OriginAccessControlId"]


@breaks("PublishedAlone")
def originals_readable_for_cloudfront(a: Assembly) -> None:
    statement = statement_for_cloudfront(a)
    statement["Resource"] = json.loads(json.dumps(statement["Resource"]).replace("/processed/*", "/*"))


@breaks("PublishedAlone")
def anybodys_distribution_allowed(a: Assembly) -> None:
    del statement_for_cloudfront(a)["Condition"]


@breaks("PublishedAlone")
def cloudfront_allowed_to_list(a: Assembly) -> None:
    statement_for_cloudfront(a)["Action"] = ["s3:GetObject", "s3:ListBucket"]


@breaks("Uncached")
def answers_kept_for_others(a: Assembly) -> None:
    config(a)["DefaultCacheBehavior"]["CachePolicyId"] = CACHING_OPTIMIZED


@breaks("Uncached")
def lists_kept_for_others(a: Assembly) -> None:
    config(a)["CacheBehaviors"][0]["PathPattern"] = "api/public/*"


@breaks("Uncached")
def errors_kept_for_others(a: Assembly) -> None:
    config(a)["CustomErrorResponses"].pop()


@pytest.mark.parametrize(("rule", "damage"), BREACHES)
def test_what_breaks_a_rule_is_found(production, rule, damage):
    assembly = production.assembly

    damage(assembly)

    assert rule in {finding.rule for finding in check(assembly, EDGE_RULES)}


def test_every_rule_has_a_test_that_breaks_it():
    assert {parameters.values[0] for parameters in BREACHES} == {rule.name for rule in EDGE_RULES}
