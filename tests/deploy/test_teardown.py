"""What the emulator cannot show of a teardown: what AWS makes it wait for, and what is written meanwhile."""

from typing import Any

import pytest

from deploy import buckets, cloudformation, teardown
from deploy.account import Account
from deploy.cloudformation import Resource
from deploy.errors import CannotDeploy

BUCKET = Resource(stack="AnbNetwork", type=teardown.BUCKET, id="logs", is_kept=False)
KEPT = Resource(stack="AnbMedia", type=teardown.BUCKET, id="videos", is_kept=True)


class Workers:
    """A group in which one instance works and one does not."""

    def __init__(self):
        self.calls: list[tuple[Any, ...]] = []

    def client(self, _service, **_settings):
        return self

    def describe_auto_scaling_groups(self, **_asked):
        busy = {"InstanceId": "i-busy", "ProtectedFromScaleIn": True}
        idle = {"InstanceId": "i-idle", "ProtectedFromScaleIn": False}
        return {"AutoScalingGroups": [{"AutoScalingGroupName": "anb-workers", "Instances": [busy, idle]}]}

    def update_auto_scaling_group(self, **asked):
        self.calls.append(("wants", asked["DesiredCapacity"]))

    def set_instance_protection(self, **asked):
        self.calls.append(("protects", asked["InstanceIds"], asked["ProtectedFromScaleIn"]))


@pytest.fixture
def deletions(monkeypatch):
    """Which buckets are emptied and how often a deletion is tried; it fails as often as `failures` says."""
    seen: dict[str, Any] = {"emptied": [], "tried": 0, "failures": 0}

    def empty(_account, bucket):
        seen["emptied"].append(bucket)
        return 1

    def delete(_account, _names):
        seen["tried"] += 1
        if seen["tried"] <= seen["failures"]:
            raise CannotDeploy("AnbNetwork was not deleted (DELETE_FAILED: the bucket is not empty).")

    monkeypatch.setattr(buckets, "empty", empty)
    monkeypatch.setattr(cloudformation, "delete", delete)
    return seen


@pytest.fixture
def account():
    """Nobody's."""
    return Account(session=None, region="us-east-1")


def ignore(_line):
    """Nobody listens."""


def test_a_worker_that_is_busy_keeps_nobody_waiting():
    workers = Workers()

    teardown._scale_to_zero(Account(session=workers, region="us-east-1"), ["anb-workers"])

    assert workers.calls == [("wants", 0), ("protects", ["i-busy"], False)]


def test_a_bucket_that_fills_up_again_is_emptied_again(account, deletions):
    deletions["failures"] = 2

    teardown._destroy(account, ["AnbNetwork"], [BUCKET], ignore)

    assert deletions["emptied"] == ["logs"] * 3


def test_in_the_end_it_says_what_stays(account, deletions):
    deletions["failures"] = 3

    with pytest.raises(CannotDeploy, match="the bucket is not empty"):
        teardown._destroy(account, ["AnbNetwork"], [BUCKET], ignore)


def test_a_bucket_that_the_template_keeps_is_not_emptied(account, deletions):
    teardown._destroy(account, ["AnbMedia"], [KEPT], ignore)

    assert deletions["emptied"] == []


def test_what_the_template_keeps_is_told():
    assert list(teardown._kept([BUCKET, KEPT])) == [
        "AWS::S3::Bucket videos, which the profile keeps; it costs by the gigabyte and month."
    ]
