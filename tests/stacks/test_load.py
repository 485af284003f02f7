"""The load generator: there when it is asked for, small, and reached by nobody."""

import json
from dataclasses import replace

import pytest

from capacity.costs import Prices, standing
from capacity.inventory import Inventory
from stacks.load import VOLUME_GIB
from stacks.profiles import ACADEMY, NONE, PRODUCTION, FleetSize, choose
from stacks.rules.lab import LAB_RULES
from stacks.rules.plugin import check

PRICES = Prices.read()
PROFILES = [ACADEMY, PRODUCTION]


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.name)
def generating(request, write):
    """The templates with a load generator and without workers."""
    return write(replace(request.param, load=True, workers=NONE))


def generator(assembly):
    return assembly.only("AnbLoad", "AWS::EC2::Instance").properties


def test_nobody_gets_one_unasked(write):
    assert [profile.name for profile in PROFILES if "AnbLoad" in write(profile).templates] == []


def test_it_is_one_small_encrypted_instance(generating):
    made_of = generator(generating)
    (volume,) = made_of["BlockDeviceMappings"]

    assert made_of["InstanceType"] == "t3.small"
    assert volume["Ebs"]["Encrypted"] is True
    assert made_of["MetadataOptions"] == {"HttpPutResponseHopLimit": 1, "HttpTokens": "required"}
    assert "KeyName" not in made_of


def test_it_is_reckoned_among_what_costs(generating):
    inventory = Inventory.of(generating)
    (made_of,) = inventory.single

    lines = {line.what: line.usd for line in standing(inventory, dict.fromkeys(("AnbWeb", "AnbWorker"), 0), PRICES)}

    assert (made_of.stack, made_of.instance_type, made_of.volume_gib) == ("AnbLoad", "t3.small", VOLUME_GIB)
    assert lines["AnbLoad t3.small"] == PRICES.hours_per_month * PRICES.instance_hour("t3.small")
    assert ("AnbLoad addresses" in lines) == made_of.has_addresses == (inventory.nat_gateways == 0)


def test_it_reaches_the_balancer_and_is_reached_by_nobody(generating):
    group = generating.only("AnbLoad", "AWS::EC2::SecurityGroup")
    doors = [found.properties for found in generating.resources("AWS::EC2::SecurityGroupIngress")]
    opened = [door for door in doors if generating.follow("AnbLoad", door.get("SourceSecurityGroupId")) == group]
    balancer = generating.only("AnbWeb", "AWS::ElasticLoadBalancingV2::LoadBalancer").properties["SecurityGroups"][0]

    assert "SecurityGroupIngress" not in group.properties
    assert {rule["FromPort"] for rule in group.properties["SecurityGroupEgress"]} == {80, 443}
    assert {door["FromPort"] for door in opened} == {80, 443}
    assert [door["GroupId"] for door in opened] == [balancer, balancer]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_other_stacks_do_not_change_for_it(write, profile):
    without, beside = (write(replace(profile, load=load, workers=NONE)).templates for load in (False, True))

    assert {stack: beside[stack] for stack in without} == without
    assert beside.keys() - without.keys() == {"AnbLoad"}


def test_it_may_fetch_its_artefact_and_nothing_else(write):
    assembly = write(replace(PRODUCTION, load=True))
    policies = [found for found in assembly.resources("AWS::IAM::Policy") if found.stack == "AnbLoad"]
    statements = [it for policy in policies for it in policy.properties["PolicyDocument"]["Statement"]]

    assert [statement["Action"] for statement in statements] == ["s3:GetObject"]
    assert ".zip" in json.dumps(statements[0]["Resource"])


def test_a_lab_lends_it_its_role(write):
    assembly = write(replace(ACADEMY, load=True, workers=NONE))

    assert "LabInstanceProfile" in json.dumps(generator(assembly)["IamInstanceProfile"])


@pytest.mark.parametrize(
    ("workers", "fits"),
    [(NONE, True), (FleetSize(at_least=1, at_most=2), True), (FleetSize(at_least=1, at_most=3), False)],
    ids=str,
)
def test_a_lab_counts_it_among_its_nine_instances(write, workers, fits):
    found = check(write(replace(ACADEMY, load=True, workers=workers)), LAB_RULES)

    assert ([finding.rule for finding in found] == []) is fits
    assert {finding.rule for finding in found} <= {"LabInstances"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_it_breaks_no_rule(synthesise, profile):
    report = synthesise(choose(profile.name, {"load": "true", "workers": "0-0"})).report

    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []
