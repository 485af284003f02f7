"""The production profile becomes a system, with roles and NAT of its own."""

import json

import pytest
from botocore.exceptions import WaiterError

PRODUCTION = "profile=production"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-333344445555"
# Each is turned off again by the next one's deployment
ONE_AFTER_THE_OTHER = (
    (f"certificateArn={CERTIFICATE}", "domainName=anb.example.org"),
    ("firewall=true",),
    ("mediaBucket=videos-of-last-year", "owner=ana"),
    (),
)


@pytest.fixture(scope="module")
def living(lab):
    """An account with a production system in it, prepared as CDK prepares accounts."""
    lab.deploy("bootstrap", PRODUCTION)
    lab.deploy("up", PRODUCTION)
    return lab


def test_instances_reach_the_internet_through_an_address_of_their_own(living):
    gateways = living.client("ec2").describe_nat_gateways()["NatGateways"]
    addresses = living.client("ec2").describe_addresses()["Addresses"]

    assert gateways
    assert len(addresses) == len(gateways)


def test_each_fleet_has_a_role_with_a_policy(living):
    iam = living.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]

    for fleet in ("AnbWeb", "AnbWorker"):
        (role,) = [name for name in roles if name.startswith(fleet)]
        assert len(iam.list_role_policies(RoleName=role)["PolicyNames"]) == 1


def distribution(lab):
    """What the account's one distribution is made of."""
    (found,) = lab.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    return lab.client("cloudfront").get_distribution(Id=found["Id"])["Distribution"]


def test_the_site_is_at_the_distribution_and_the_load_balancer_inside(living):
    (output,) = [it for it in outputs(living) if it["OutputKey"] == "Url"]
    (balancer,) = living.client("elbv2").describe_load_balancers()["LoadBalancers"]

    assert output["OutputValue"] == f"https://{distribution(living)['DomainName']}"
    assert balancer["Scheme"] == "internal"


def outputs(lab):
    return lab.client("cloudformation").describe_stacks(StackName="AnbWeb")["Stacks"][0]["Outputs"]


def test_an_instance_is_told_where_published_videos_are(living):
    assert f"ANB_MEDIA_URL='https://{distribution(living)['DomainName']}'" in living.user_data("AnbWeb")


def test_what_a_distribution_reaches_cannot_be_changed(living):
    cloudformation = living.client("cloudformation")
    body = cloudformation.get_template(StackName="AnbWeb")["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body
    (origin,) = [it for it in template["Resources"].values() if it["Type"] == "AWS::CloudFront::VpcOrigin"]
    origin["Properties"]["Tags"] = [{"Key": "owner", "Value": "ana"}]

    cloudformation.update_stack(
        StackName="AnbWeb", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    with pytest.raises(WaiterError, match="ROLLBACK"):
        cloudformation.get_waiter("stack_update_complete").wait(StackName="AnbWeb", WaiterConfig={"Delay": 1})


def test_settings_come_and_go_one_after_the_other(living):
    living.client("s3").create_bucket(Bucket="videos-of-last-year")
    for settings in ONE_AFTER_THE_OTHER:
        said = living.deploy("up", PRODUCTION, *settings)

        site = "anb.example.org" if "domainName=anb.example.org" in settings else distribution(living)["DomainName"]
        assert f"The site is at https://{site}\n" in said, settings
        listed = distribution(living)["DistributionConfig"]
        assert bool(listed.get("WebACLId")) == ("firewall=true" in settings)
        assert listed["CacheBehaviors"]["Quantity"] == (1 if "owner=ana" in settings else 3)


def test_it_is_destroyed_once_nobody_protects_it(living):
    said = living.deploy("down", PRODUCTION, "--yes", status=1)
    assert "hold data and are protected" in said

    for stack in ("AnbData", "AnbMedia"):
        living.client("cloudformation").update_termination_protection(
            StackName=stack, EnableTerminationProtection=False
        )
    said = living.deploy("down", PRODUCTION, "--yes")

    assert "All stacks are gone." in said
    assert not living.client("cloudfront").list_distributions()["DistributionList"].get("Items")
    assert "Left: bucket anbmedia-videos" in said
