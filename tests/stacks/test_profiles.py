"""What may be chosen at synthesis, and the one sentence for what may not."""

import re
from pathlib import Path

import pytest

from stacks.profiles import ACADEMY, NONE, OVERRIDES, PRODUCTION, FleetSize, ProfileError, choose

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-333344445555"
EUROPEAN = CERTIFICATE.replace("us-east-1", "eu-west-1")


@pytest.mark.parametrize("profile", [ACADEMY, PRODUCTION])
def test_without_overrides_a_profile_is_what_it_says(profile):
    assert choose(profile.name, {}) == profile


def test_whatever_a_person_must_choose_can_be_overridden():
    chosen = choose(
        "production",
        {
            "region": "us-east-1",
            "owner": "Grupo 12",
            "instanceType": "m7i-flex.large",
            "web": "2-2",
            "workerProcesses": 2,
            "workers": "1-2",
            "databaseClass": "db.r6g.large",
            "databaseGiB": 500,
            "databaseSnapshot": "rds:anb-database-2026-11-23",
            "mediaBucket": "anb-videos",
            "certificateArn": CERTIFICATE,
            "domainName": "anb.example.org",
            "corsOrigins": "https://app.example.org,http://localhost:5173",
            "firewall": "true",
            "flowLogs": "false",
            "uploadLimits": "false",
            "alarmMail": "ops@example.org",
            "budgetMail": "money@example.org",
            "budgetUsd": 75,
        },
    )

    assert (chosen.region, chosen.owner, chosen.instance_type) == ("us-east-1", "Grupo 12", "m7i-flex.large")
    assert (chosen.web, chosen.workers) == (FleetSize(at_least=2, at_most=2), FleetSize(at_least=1, at_most=2))
    assert (chosen.database.instance_class, chosen.database.storage_gib) == ("db.r6g.large", 500)
    assert (chosen.database_snapshot, chosen.media_bucket) == ("rds:anb-database-2026-11-23", "anb-videos")
    assert (chosen.certificate_arn, chosen.domain_name) == (CERTIFICATE, "anb.example.org")
    assert (chosen.firewall, chosen.flow_logs, chosen.upload_limits) == (True, False, False)
    assert chosen.cors_origins == "https://app.example.org,http://localhost:5173"
    assert (chosen.alarm_mail, chosen.budget_mail, chosen.budget_usd) == ("ops@example.org", "money@example.org", 75)


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("academy", {"region": "eu-west-1"}, "region must be us-east-1 or us-west-2, not 'eu-west-1'."),
    ("production", {"region": "Virginia"}, "region must be an AWS region such as us-east-1, not 'Virginia'."),
    ("academy", {"prefix": "test"}, "prefix must be a capital letter and 1 to 11 small letters or digits, such as"),
    ("production", {"prefix": "Test-2"}, "prefix must be a capital letter and"),
    ("production", {"prefix": "ANB"}, "prefix must be a capital letter and"),
    ("production", {"prefix": "Aws"}, "prefix must be a capital letter and"),
    ("academy", {"owner": "<script>"}, "owner must be 1 to 64 letters, digits"),
    ("academy", {"instanceType": "t3.xlarge"}, "instanceType must be an x86 type of size nano to large"),
    ("academy", {"instanceType": "t3.nano"}, "instanceType must be a type with memory for a worker (348 + 600 MiB)"),
    ("academy", {"instanceType": "t3.micro"}, "workerProcesses must be at most 1 on a t3.micro, 600 MiB for each"),
    (
        "academy",
        {"workerProcesses": 3},
        "workerProcesses must be at most 2 on a t3.small, 600 MiB for each, not '3'.",
    ),
    (
        "academy",
        {"instanceType": "t3.large", "workerProcesses": 4},
        (
            "databaseClass must be db.t3.small, or another with as many connections: web=2-3 and workers=1-3 with "
            "workerProcesses=4 open up to 68, of which a db.t3.micro has 54 to give."
        ),
    ),
    ("academy", {"databaseClass": "db.t3.nano"}, "databaseClass must be db.t3.micro, or another with as many"),
    (
        "production",
        {"web": "2-12", "workers": "2-20"},
        (
            "databaseClass must be db.t3.medium, or another with as many connections: web=2-12 and workers=2-20 with "
            "workerProcesses=2 open up to 192, of which a db.t3.small has 108 to give."
        ),
    ),
    (
        "production",
        {"web": "1-99", "workers": "1-99", "instanceType": "c5.24xlarge", "workerProcesses": 64},
        "databaseClass must be db.m6i.24xlarge, or another",
    ),
    ("production", {"workerProcesses": 0}, "workerProcesses must be how many videos an instance works on at once"),
    ("production", {"instanceType": "m5.metal"}, "instanceType must be of a size that tells its vCPUs"),
    ("academy", {"instanceType": "t4g.small"}, "instanceType must be an x86 instance type"),
    ("production", {"instanceType": "a1.large"}, "instanceType must be an x86 instance type"),
    ("production", {"instanceType": "big"}, "instanceType must be an x86 instance type"),
    ("academy", {"web": "1-4"}, "web must be the least and the most instances, such as 1-3, both from 1 to 3, not"),
    ("production", {"web": "1-100"}, "web must be the least and the most instances, such as 1-3, not '1-100'."),
    (
        "production",
        {"web": "0-0"},
        "web must be the least and the most instances, such as 1-3, both from 1 to 99, not",
    ),
    ("academy", {"workers": "3-1"}, "workers must be the least and the most instances"),
    (
        "academy",
        {"workers": "0-3"},
        "workers must be the least and the most instances, such as 1-3, both from 1 to 3, or 0-0 for none, not",
    ),
    ("production", {"workers": "0-3"}, "workers must be the least and the most instances, such as 1-3, both from"),
    ("academy", {"databaseClass": "db.t3.large"}, "databaseClass must be a class of size nano to medium"),
    ("production", {"databaseClass": "t3.micro"}, "databaseClass must be an RDS class such as db.t3.micro"),
    ("academy", {"databaseGiB": 101}, "databaseGiB must be a number from 20 to 100, not '101'."),
    ("production", {"databaseGiB": "19"}, "databaseGiB must be a number from 20 to 999"),
    ("production", {"databaseSnapshot": "-x"}, "databaseSnapshot must be the name or ARN of an RDS snapshot"),
    ("academy", {"mediaBucket": "My_Bucket"}, "mediaBucket must be 3 to 63 lower-case letters, digits and hyphens"),
    ("academy", {"assetBucket": "a"}, "assetBucket must be 3 to 63 lower-case letters, digits and hyphens"),
    ("production", {"certificateArn": "arn:aws:iam::1:x"}, "certificateArn must be the ARN of an ACM certificate"),
    ("academy", {"certificateArn": EUROPEAN}, "certificateArn must be the ARN of an ACM certificate in us-east-1"),
    (
        "production",
        {"region": "eu-west-1", "certificateArn": EUROPEAN, "domainName": "anb.example.org"},
        "certificateArn must be the ARN of an ACM certificate in us-east-1",
    ),
    ("production", {"certificateArn": CERTIFICATE}, "certificateArn and domainName belong together"),
    ("production", {"domainName": "anb.example.org"}, "certificateArn and domainName belong together"),
    ("production", {"domainName": "https://anb.example.org"}, "domainName must be a host's name such as"),
    ("production", {"domainName": "ANB"}, "domainName must be a host's name such as"),
    ("academy", {"domainName": "anb.example.org"}, "domainName is for the production profile alone"),
    (
        "production",
        {"region": "me-central-1"},
        "region must be where CloudFront reaches into a VPC: ap-northeast-1, ",
    ),
    ("production", {"region": "eu-west-1", "firewall": "true"}, "firewall is for us-east-1 alone"),
    ("academy", {"corsOrigins": "*"}, "corsOrigins must be origins such as https://app.example.org, with commas"),
    ("academy", {"corsOrigins": "https://a.org/, b.org"}, "corsOrigins must be origins such as"),
    ("academy", {"corsOrigins": ""}, "corsOrigins must be origins such as"),
    ("production", {"firewall": "yes"}, "firewall must be true or false, not 'yes'."),
    ("academy", {"load": "on"}, "load must be true or false"),
    ("academy", {"flowLogs": "1"}, "flowLogs must be true or false"),
    ("academy", {"uploadLimits": "raised"}, "uploadLimits must be true or false"),
    ("academy", {"alarmMail": "nobody"}, "alarmMail must be one mail address, not 'nobody'."),
    ("academy", {"alarmMail": "a@b.co, c@d.co"}, "alarmMail must be one mail address"),
    ("production", {"budgetMail": "@"}, "budgetMail must be one mail address"),
    ("academy", {"budgetMail": "a@b.co"}, "budgetMail is for the production profile alone"),
    ("production", {"budgetUsd": "12.50"}, "budgetUsd must be whole dollars a month"),
    ("academy", {"budgetUsd": 200}, "budgetUsd is for the production profile alone"),
    ("production", {"budgetUsd": 200}, "budgetUsd does nothing without budgetMail"),
    ("academy", {"regoin": "us-west-2"}, "regoin is not a setting; the settings are profile, region, prefix"),
    ("acadmy", {}, "profile must be academy or production, not 'acadmy'."),
]


@pytest.mark.parametrize(("name", "overrides", "sentence"), REFUSED)
def test_what_cannot_be_deployed_is_refused_with_a_sentence(name, overrides, sentence):
    with pytest.raises(ProfileError) as refused:
        choose(name, overrides)

    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_every_override_has_a_test_that_has_it_refused():
    assert {key for _, overrides, _ in REFUSED for key in overrides} >= set(OVERRIDES)


def test_the_order_of_the_settings_does_not_matter():
    asked: dict[str, object] = {"domainName": "anb.example.org", "certificateArn": CERTIFICATE, "region": "eu-west-1"}
    asked |= {"budgetUsd": 75, "budgetMail": "money@example.org"}

    assert choose("production", asked) == choose("production", dict(reversed(asked.items())))


@pytest.mark.parametrize(
    "type_", ["t3.small", "t3a.small", "m5.large", "m7i-flex.large", "g4dn.xlarge", "c7a.medium"]
)
def test_every_x86_type_is_taken(type_):
    assert choose("production", {"instanceType": type_}).instance_type == type_


@pytest.mark.parametrize(
    ("type_", "processes", "mib"),
    [
        ("t3.small", 2, 850),
        ("t2.small", 1, 1700),
        ("t3.medium", 2, 1874),
        ("m7a.medium", 1, 1700),
        ("c5.large", 2, 1874),
        ("c5.xlarge", 4, 1961),
    ],
)
def test_an_instance_has_a_worker_for_each_vcpu_and_shares_its_memory_among_them(type_, processes, mib):
    profile = choose("production", {"instanceType": type_})

    assert (profile.processes_per_worker, profile.worker_process_mib) == (processes, mib)


def test_the_number_of_workers_on_an_instance_can_be_chosen():
    profile = choose("academy", {"instanceType": "t3.micro", "workerProcesses": 1})

    assert (profile.processes_per_worker, profile.worker_process_mib, profile.web_mib) == (1, 676, 376)


def test_production_has_as_many_instances_as_its_database_has_connections_for():
    asked = {"web": "2-12", "workers": "2-20", "databaseClass": "db.t3.medium"}
    profile = choose("production", asked)

    assert (str(profile.web), str(profile.workers)) == ("2-12", "2-20")


@pytest.mark.parametrize("profile", ["academy", "production"])
def test_there_may_be_no_workers_at_all(profile):
    assert choose(profile, {"workers": "0-0"}).workers == NONE


@pytest.mark.parametrize("type_", ["t4g.small", "c7gn.large", "im4gn.large", "x2gd.large", "a1.medium"])
def test_no_arm_type_is_taken(type_):
    with pytest.raises(ProfileError):
        choose("production", {"instanceType": type_})


def test_the_documentation_names_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    named = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]

    assert set(re.findall(r"`(\w+)`", "".join(named))) == {"profile", *OVERRIDES}
