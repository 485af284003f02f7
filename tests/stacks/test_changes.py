"""Every setting can be turned on, changed and turned off on a living system, or is refused by name."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from itertools import combinations, pairwise
from typing import Any

import pytest

from stacks.profiles import OVERRIDES, Profile, choose
from stacks.rules.assembly import Assembly
from stacks.rules.changes import refusals

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-33334444555"
# Two values of each setting: what it may be turned to, and changed to; a flag has only one other
VALUES: dict[str, tuple[str, ...]] = {
    "owner": ("ana", "luis"),
    "instanceType": ("t3.medium", "t3.large"),
    "web": ("3-3", "1-2"),
    "workers": ("2-3", "0-0"),
    "workerProcesses": ("1", "2"),
    "databaseClass": ("db.t3.medium", "db.t3.micro"),
    "databaseGiB": ("30", "40"),
    "mediaBucket": ("ana-videos", "luis-videos"),
    "certificateArn": (f"{CERTIFICATE}0", f"{CERTIFICATE}1"),
    "domainName": ("anb.example.org", "test.example.org"),
    "corsOrigins": ("https://app.example.org", "https://test.example.org"),
    "firewall": ("true",),
    "load": ("true",),
    "flowLogs": ("false",),
    "uploadLimits": ("false",),
    "alarmMail": ("ana@example.org", "luis@example.org"),
    "budgetMail": ("ana@example.org", "luis@example.org"),
    "budgetUsd": ("100", "300"),
}
# What a setting does nothing without, and is refused without; of CloudFront's certificate that is true as well
NEEDED = {
    "budgetUsd": {"budgetMail": "ana@example.org"},
    "domainName": {"certificateArn": f"{CERTIFICATE}0"},
    "load": {"workers": "0-0"},
}
NEEDED_IN_PRODUCTION = NEEDED | {"certificateArn": {"domainName": "anb.example.org"}}
# They say where another system is, or what a new database is made of
OF_ANOTHER_SYSTEM = {"region", "prefix", "assetBucket", "databaseSnapshot"}
PRODUCTION_ALONE = {"budgetMail", "budgetUsd", "domainName"}
CHANGES = [
    pytest.param(profile, key, id=f"{profile}-{key}")
    for profile in ("academy", "production")
    for key in VALUES
    if profile == "production" or key not in PRODUCTION_ALONE
]

Templates = Callable[..., Assembly]


@pytest.fixture(scope="module")
def templates(write: Callable[..., Assembly]) -> Templates:
    """The templates of a profile with these settings, each combination written once."""

    @cache
    def written(profile: str, settings: frozenset[tuple[str, str]]) -> Assembly:
        return write(choose(profile, dict(settings)))

    return lambda profile, **settings: written(profile, frozenset(complete(profile, settings).items()))


def complete(profile: str, settings: dict[str, str]) -> dict[str, str]:
    """Return the settings with what they need."""
    needed = NEEDED_IN_PRODUCTION if profile == "production" else NEEDED
    return {key: value for needs in settings for key, value in needed.get(needs, {}).items()} | settings


def changed_stacks(before: Assembly, after: Assembly) -> set[str]:
    return {stack for stack in before.templates if before.templates[stack] != after.templates[stack]}


def in_the_way(*steps: Assembly) -> list[str]:
    return [
        f"{found.stack} {found.logical_id}: {found.sentence}"
        for before, after in pairwise(steps)
        for found in refusals(before, after)
    ]


def test_every_setting_is_tried() -> None:
    assert VALUES.keys() | OF_ANOTHER_SYSTEM == OVERRIDES.keys()


@pytest.mark.parametrize(("profile", "key"), CHANGES)
def test_a_setting_is_turned_on_changed_and_turned_off(templates: Templates, profile: str, key: str) -> None:
    unset = templates(profile)
    states = [templates(profile, **{key: value}) for value in VALUES[key]]

    if key == "databaseGiB":
        assert in_the_way(unset, *states) == []
        assert any("cannot shrink" in sentence for sentence in in_the_way(*reversed(states)))
    else:
        assert in_the_way(unset, *states, unset) == []


@pytest.mark.parametrize("profile", ["academy", "production"])
def test_settings_that_meet_in_a_stack_are_turned_on_and_off_beside_each_other(
    templates: Templates, profile: str
) -> None:
    unset = templates(profile)
    # The owner is a tag of everything, and meets nobody in more than that
    keys = [key for key in VALUES if key != "owner" and (profile == "production" or key not in PRODUCTION_ALONE)]
    stacks = {key: changed_stacks(unset, templates(profile, **{key: VALUES[key][0]})) for key in keys}
    pairs = [(one, other) for one, other in combinations(keys, 2) if stacks[one] & stacks[other]]

    assert len(pairs) > 10
    for one, other in pairs:
        first, second = {one: VALUES[one][0]}, {other: VALUES[other][0]}
        both = templates(profile, **first, **second)
        grown = {"databaseGiB"} & {one, other}
        for lonely in (first, second):
            alone = templates(profile, **lonely)
            found = [*in_the_way(unset, alone, both, alone), *in_the_way(alone, unset)]
            assert [sentence for sentence in found if not (grown and "shrink" in sentence)] == [], (one, other)


@pytest.mark.parametrize("profile", ["academy", "production"])
def test_a_snapshot_does_not_replace_a_living_database(templates: Templates, profile: str) -> None:
    found = in_the_way(templates(profile), templates(profile, databaseSnapshot="before-the-exam"))

    assert any("AWS::RDS::DBInstance would be replaced" in sentence for sentence in found)
    assert any("has a name of its own (DBInstanceIdentifier)" in sentence for sentence in found)


def damaged(assembly: Assembly, stack: str, type_: str) -> dict[str, Any]:
    """Return the properties of a resource of a copy's, to be changed."""
    found: dict[str, Any] = assembly.only(stack, type_).definition["Properties"]
    return found


def test_what_a_distribution_reaches_stays_as_it_is(templates: Templates) -> None:
    before, tagged, rebuilt = (deepcopy(templates("production")) for _ in range(3))
    damaged(tagged, "AnbWeb", "AWS::CloudFront::VpcOrigin")["Tags"] = [{"Key": "owner", "Value": "ana"}]
    damaged(rebuilt, "AnbWeb", "AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] = "internet-facing"

    for after in (tagged, rebuilt):
        assert any("CloudFront changes no VPC origin" in sentence for sentence in in_the_way(before, after))


def test_a_profile_does_not_become_another(templates: Templates) -> None:
    assert in_the_way(templates("academy"), templates("production")) != []


@pytest.mark.parametrize(("profile", "key"), CHANGES)
def test_a_setting_breaks_no_rule(synthesise: Callable[[Profile], Any], profile: str, key: str) -> None:
    report = synthesise(choose(profile, complete(profile, {key: VALUES[key][0]}))).report

    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []
