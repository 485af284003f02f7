"""Two environments live in one account: they share no name that AWS or we find anything by."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stacks.profiles import Profile, choose
from stacks.rules.assembly import Assembly
from stacks.rules.changes import names_of

PROFILES = ("academy", "production")


@pytest.fixture(scope="module")
def environments(write):
    """The usual environment's templates and those of one called Test, for each profile."""
    return {profile: (write(choose(profile, {})), write(choose(profile, {"prefix": "Test"}))) for profile in PROFILES}


HOOK = "AWS::AutoScaling::LifecycleHook"  # known by its group and its name


def names(assembly: Assembly) -> set[str]:
    """Return the stacks' names and everything that is named by us: resources, exports."""
    given = {
        json.dumps(resource.properties[name])
        for resource in assembly.resources()
        if resource.type != HOOK
        for name in names_of(resource.type)
        if isinstance(resource.properties.get(name), str)
    }
    exports = {
        output["Export"]["Name"]
        for template in assembly.templates.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    return given | exports | set(assembly.templates)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in {"Metadata", "Tags", "TagSpecifications"}:
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("profile", PROFILES)
def test_two_environments_share_no_name(environments, profile):
    usual, other = (names(assembly) for assembly in environments[profile])

    assert {'"anb-jobs"', '"anb-workers"', '"anb-database"', '"/anb/database"', "AnbMedia"} <= usual
    assert usual & other == set()
    assert len(usual) == len(other)


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_in_an_environment_speaks_of_the_other(environments, profile):
    _, other = environments[profile]
    spoken = {word for text in texts(other.templates) for word in re.findall(r"\b(?:Anb[A-Z]|anb[-/]|ANB\b).*", text)}

    # Paths on an instance, names of programs' variables, and what descriptions call the product
    ours_alone = re.compile(r"ANB Rising Stars|anb-failure|anb/release|anb$")
    assert [word for word in spoken if not ours_alone.match(word)] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_an_environment_breaks_no_rule(synthesise, profile):
    report = synthesise(choose(profile, {"prefix": "Test"})).report

    assert [found for plugin in report["pluginReports"] for found in plugin["violations"]] == []


def test_each_lab_environment_uploads_to_a_bucket_of_its_own():
    def bucket(**settings: str) -> Profile:
        return choose("academy", settings)

    assert bucket().asset_bucket == "anb-assets-${AWS::AccountId}-${AWS::Region}"
    assert bucket(prefix="Test").asset_bucket == "test-assets-${AWS::AccountId}-${AWS::Region}"
    assert bucket(prefix="Test", assetBucket="mine").asset_bucket == "mine"
    assert choose("production", {"prefix": "Test"}).asset_bucket is None
