"""What the emulator cannot show of a teardown: what AWS makes it wait for, and what is written meanwhile."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy import buckets, cdk, preflight, teardown
from deploy.__main__ import main
from deploy.account import Account
from deploy.cloudformation import Resource
from deploy.errors import CannotDeploy
from deploy.preflight import Target
from stacks.profiles import ACADEMY


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


class Bucket:
    """A bucket into which somebody writes until it has been emptied `writes` times."""

    class exceptions:  # noqa: N801 boto3's name
        NoSuchBucket = type("NoSuchBucket", (Exception,), {})

    def __init__(self, *, writes: int) -> None:
        self.objects, self._writes = 0, writes

    def client(self, _service: str, **_settings: Any) -> Any:
        return self

    def get_paginator(self, call: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, call))

    def list_object_versions(self, **_asked: Any) -> Any:
        yield {"Versions": [{"Key": "x", "VersionId": "1"}] * self.objects}

    def list_multipart_uploads(self, **_asked: Any) -> Any:
        yield {}

    def delete_objects(self, **_asked: Any) -> dict[str, Any]:
        self.objects = 0
        return {}

    def delete_bucket(self, **_asked: Any) -> None:
        self.objects = 1 if self._writes > 0 else 0
        self._writes -= 1
        if self.objects:
            raise ClientError({"Error": {"Code": "BucketNotEmpty", "Message": "no"}}, "DeleteBucket")


@pytest.fixture
def account():
    """Nobody's."""
    return Account(session=None, region="us-east-1")


def test_a_worker_that_is_busy_keeps_nobody_waiting():
    workers = Workers()

    teardown._scale_to_zero(Account(session=workers, region="us-east-1"), ["anb-workers"])

    assert workers.calls == [("wants", 0), ("protects", ["i-busy"], False)]


def test_a_bucket_that_fills_up_again_is_emptied_again():
    assert buckets.delete(Account(session=Bucket(writes=2), region="us-east-1"), "logs") == 2


def test_a_bucket_that_fills_up_for_ever_is_named():
    with pytest.raises(CannotDeploy, match=r"^The bucket logs fills up as fast as it is emptied: run this again"):
        buckets.delete(Account(session=Bucket(writes=9), region="us-east-1"), "logs")


def test_a_snapshot_is_taken_of_an_available_database_alone(monkeypatch, account):
    monkeypatch.setattr(teardown, "_status", lambda _account: "stopped")

    with pytest.raises(
        CannotDeploy, match=r"^The database is stopped, .* start it .* or destroy it with --no-snapshot"
    ):
        teardown.take_snapshot(Target(profile=ACADEMY, account=account, number="123456789012"), print)


def test_what_production_keeps_is_told_with_its_cost():
    database = Resource(stack="AnbData", name="DB", type=teardown.DATABASE, id="anb-database", policy="Snapshot")

    assert list(teardown._last_snapshot([database])) == [
        "a last snapshot of the database, as the profile has it; it costs 0.095 USD a GiB and month."
    ]


def tagged(_account, _prefixes):
    yield "anbmedia-lab", {"project": "anb-rising-stars", "profile": "academy"}
    yield "anbmedia-kept", {"project": "anb-rising-stars", "profile": "production"}
    yield "anbmedia-of-somebody", {"project": "another"}


@pytest.mark.parametrize(
    ("setting", "going", "kept"),
    [
        (None, ["anbmedia-lab"], ["anbmedia-kept"]),
        ("anbmedia-lab", [], ["anbmedia-lab", "anbmedia-kept"]),
    ],
)
def test_a_bucket_goes_unless_its_profile_or_a_setting_keeps_it(monkeypatch, account, setting, going, kept):
    monkeypatch.setattr(buckets, "with_tags", tagged)
    target = Target(profile=replace(ACADEMY, media_bucket=setting), account=account, number="123456789012")

    assert list(teardown._buckets(target, kept=False)) == going
    assert list(teardown._buckets(target, kept=True)) == kept


def test_for_other_programs_a_plan_is_json_alone(monkeypatch, capsys, account, tmp_path):
    target = Target(profile=ACADEMY, account=account, number="123456789012")
    plan = teardown.Plan(
        target=target,
        is_everything=True,
        stacks=[],
        resources=[],
        buckets=[],
        goes=["bucket x with everything in it."],
        stays=[],
        can_be_kept=False,
    )
    monkeypatch.setattr(cdk, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(preflight, "find_target", lambda _settings: target)
    monkeypatch.setattr(teardown, "plan_everything", lambda _target: plan)

    assert main(["down", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["goes"] == ["bucket x with everything in it."]
