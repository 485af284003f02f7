"""The load balancer and the API's instances."""

import json
import re
from dataclasses import asdict, replace

import pytest

from anb.upload_limits import UploadLimits
from anb_web.settings import WebSettings
from stacks.profiles import ACADEMY
from tests.stacks.conftest import CERTIFICATE


def only(synthesis, type_):
    return synthesis.assembly.only("AnbWeb", type_)


def listeners(assembly):
    found = assembly.resources("AWS::ElasticLoadBalancingV2::Listener")
    return {it.properties["Port"]: it.properties for it in found}


@pytest.mark.parametrize(("which", "least"), [("academy", "2"), ("production", "2")])
def test_there_are_up_to_three_instances(request, which, least):
    group = only(request.getfixturevalue(which), "AWS::AutoScaling::AutoScalingGroup").properties

    assert (group["MinSize"], group["MaxSize"]) == (least, "3")


def test_the_load_balancer_faces_the_internet(academy):
    assert only(academy, "AWS::ElasticLoadBalancingV2::LoadBalancer").properties["Scheme"] == "internet-facing"


def test_the_load_balancer_stands_in_two_zones_and_logs_requests(synthesis):
    balancer = only(synthesis, "AWS::ElasticLoadBalancingV2::LoadBalancer").properties

    assert len(balancer["Subnets"]) == 2
    attributes = {attribute["Key"]: attribute["Value"] for attribute in balancer["LoadBalancerAttributes"]}
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["access_logs.s3.enabled"] == "true"


def test_without_a_certificate_of_its_own_it_speaks_http(synthesis):
    found = listeners(synthesis.assembly)

    assert [action["Type"] for action in found[80]["DefaultActions"]] == ["forward"]
    assert 443 not in found


@pytest.fixture(scope="module")
def secured(write):
    return write(replace(ACADEMY, certificate_arn=CERTIFICATE))


def test_with_a_certificate_the_labs_http_leads_to_https(secured):
    (redirect,) = listeners(secured)[80]["DefaultActions"]

    assert redirect["RedirectConfig"] == {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    assert listeners(secured)[443]["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    assert "TLS13" in listeners(secured)[443]["SslPolicy"]


def test_with_a_certificate_the_internet_reaches_both_ports(secured):
    groups = secured.resources("AWS::EC2::SecurityGroup")
    rules = [rule for group in groups for rule in group.properties.get("SecurityGroupIngress", [])]

    assert sorted((rule["CidrIp"], rule["FromPort"]) for rule in rules) == [("0.0.0.0/0", 80), ("0.0.0.0/0", 443)]


def test_an_instance_is_drained_for_longer_than_the_longest_request(synthesis):
    targets = only(synthesis, "AWS::ElasticLoadBalancingV2::TargetGroup").properties
    attributes = {attribute["Key"]: attribute["Value"] for attribute in targets["TargetGroupAttributes"]}

    # 100 MB at 8 Mbit/s, and what nginx waits for the API after that
    assert int(attributes["deregistration_delay.timeout_seconds"]) > 100 + 60
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/: the two exclude each other
    assert not {"slow_start.duration_seconds", "load_balancing.algorithm.type"} <= set(attributes)


def test_it_scales_on_requests_and_on_cpu(synthesis):
    policies = [p for p in synthesis.assembly.resources("AWS::AutoScaling::ScalingPolicy") if p.stack == "AnbWeb"]
    targets = {
        p.properties["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]: (
            p.properties["TargetTrackingConfiguration"]["TargetValue"]
        )
        for p in policies
    }

    assert targets == {"ALBRequestCountPerTarget": 1500, "ASGAverageCPUUtilization": 60}


def test_its_health_is_the_load_balancers_opinion(synthesis):
    group = only(synthesis, "AWS::AutoScaling::AutoScalingGroup").properties

    assert group["HealthCheckType"] == "ELB"
    assert group["HealthCheckGracePeriod"] == 25 * 60


def test_the_keys_that_sign_tokens_and_hash_addresses_outlive_the_database(synthesis):
    secrets = [it for it in synthesis.assembly.resources("AWS::SecretsManager::Secret") if it.stack == "AnbWeb"]

    assert sorted(it.logical_id.rstrip("0123456789ABCDEF") for it in secrets) == ["AddressKey", "TokenSecret"]
    assert [it.properties["GenerateSecretString"]["PasswordLength"] for it in secrets] == [64, 64]


@pytest.mark.parametrize(
    ("which", "origins"), [("academy", ""), ("production", "https://app.example.org,https://test.example.org")]
)
def test_instances_are_told_which_sites_may_call(request, which, origins):
    script = json.dumps(only(request.getfixturevalue(which), "AWS::EC2::LaunchTemplate").properties)

    assert f"export ANB_CORS_ORIGINS='{origins}'" in script


def exports(assembly, pattern):
    script = json.dumps(assembly.only("AnbWeb", "AWS::EC2::LaunchTemplate").properties)
    return dict(re.findall(rf"\b({pattern})=(\d+)", script))


def test_instances_keep_to_the_limits_of_uploads_unless_a_load_test_raises_them(academy, write):
    raised = exports(write(replace(ACADEMY, upload_limits=False)), "ANB_MAX_[A-Z_]+")

    assert exports(academy.assembly, "ANB_MAX_[A-Z_]+") == {}
    complete = {"ANB_MEDIA_BUCKET": "b", "ANB_QUEUE_URL": "q", "ANB_DATABASE_URL": "mysql+pymysql://u:p@h/d"}
    secrets = {"ANB_JWT_SECRET": "s" * 32, "ANB_ADDRESS_SECRET": "s" * 32}
    limits = asdict(WebSettings.from_environment({**complete, **secrets, **raised}).upload_limits)
    assert all(limits[name] > usual for name, usual in asdict(UploadLimits()).items())


def test_the_firewall_counts_what_looks_into_videos(academy, production):
    rules = only(production, "AWS::WAFv2::WebACL").properties["Rules"]
    common = rules[1]["Statement"]["ManagedRuleGroupStatement"]

    assert {o["Name"] for o in common["RuleActionOverrides"]} >= {"SizeRestrictions_BODY", "CrossSiteScripting_BODY"}
    assert not list(academy.assembly.resources("AWS::WAFv2::WebACL"))


def test_the_labs_firewall_stands_before_the_load_balancer(write):
    assembly = write(replace(ACADEMY, firewall=True))
    association = assembly.only("AnbWeb", "AWS::WAFv2::WebACLAssociation").properties

    assert assembly.only("AnbWeb", "AWS::WAFv2::WebACL").properties["Scope"] == "REGIONAL"
    assert assembly.follow("AnbWeb", association["ResourceArn"]).logical_id.startswith("Balancer")
