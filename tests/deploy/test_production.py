"""The production profile becomes a system, with roles and NAT of its own."""

import pytest

PRODUCTION = "profile=production"


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
