"""The ordinary CDK path: its own commands on the app, without ours.

The tests share one account and run in this order.
"""

import sys

import pytest

from stacks.constructs.artefacts import HOW_TO_BUILD
from tests.deploy.conftest import STAND_INS

STACKS = ["AnbNetwork", "AnbData", "AnbMedia", "AnbWeb", "AnbWorker", "AnbObservability"]
NOT_BUILT = f"{sys.executable} {STAND_INS} --not-built"


@pytest.fixture(scope="module")
def account(lab):
    """An account with a bucket to upload to."""
    lab.deploy("bootstrap")
    return lab


@pytest.fixture(scope="module")
def app(lab):
    """The app with what it deploys."""
    return lab.environment["CDK_APP"]


def buckets(lab):
    return {bucket["Name"].rpartition("-")[0] for bucket in lab.client("s3").list_buckets()["Buckets"]}


def stacks(lab):
    found = lab.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"}


def test_the_stacks_are_listed_before_anything_is_built(account):
    listed = account.cdk("ls", app=NOT_BUILT).splitlines()

    assert [line for line in listed if line.startswith("Anb")] == STACKS


@pytest.mark.parametrize("command", [("synth",), ("diff",), ("deploy", "--all", "--require-approval", "never")])
def test_what_needs_artefacts_says_how_to_build_them(account, command):
    said = account.cdk(*command, app=NOT_BUILT, status=1)

    assert f"web.zip is missing: {HOW_TO_BUILD}." in said
    assert stacks(account) == {"AnbBootstrap"}


@pytest.mark.parametrize("profile", ["academy", "production"])
def test_the_validation_that_cdk_brings_finds_nothing(account, app, profile, tmp_path):
    validated = f"env --unset=CDK_VALIDATION {app}"  # the other tests leave it out

    said = account.cdk("synth", "--quiet", "-c", f"profile={profile}", "--output", str(tmp_path), app=validated)

    assert "Successfully synthesized" in said


def test_everything_is_deployed(account, app):
    account.cdk("deploy", "--all", "--require-approval", "never", app=app)

    assert stacks(account) == {*STACKS, "AnbBootstrap"}


def test_what_is_deployed_does_not_differ(account, app):
    assert "Number of stacks with differences: 0" in account.cdk("diff", app=app)


def test_the_database_is_destroyed_alone_although_nothing_is_built(account):
    account.cdk("destroy", "AnbData", "--force", app=NOT_BUILT)

    assert stacks(account) == {*STACKS, "AnbBootstrap"} - {"AnbData"}


def test_everything_is_destroyed_although_there_are_videos_and_the_buckets_are_kept(account):
    s3 = account.client("s3")
    videos = next(b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"].startswith("anbmedia-"))
    s3.put_object(Bucket=videos, Key="uploads/video.mp4", Body=b"one")

    said = account.cdk("destroy", "--all", "--force", app=NOT_BUILT)

    kept = [line.split("|")[-1].split()[0] for line in said.splitlines() if "DELETE_SKIPPED" in line]
    assert kept == ["Videos", "Logs"]
    assert stacks(account) == {"AnbBootstrap"}
    assert buckets(account) == {
        "anbmedia-videos88ae8da0",
        "anbnetwork-logs6819bb44",
        "anb-assets-123456789012-us-east",
    }


def test_our_own_command_names_and_takes_the_buckets_that_were_kept(account):
    assert "  Goes: bucket anbmedia-videos" in account.deploy("down", "--dry-run")

    assert "Deleted anbmedia-videos" in account.deploy("down", "--yes")
    assert buckets(account) == {"anb-assets-123456789012-us-east"}
