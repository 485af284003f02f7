"""A living system takes on, changes and drops each setting, by the commands that people use."""

import pytest

from stacks.profiles import ACADEMY

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-333344445555"
# Each row is turned off again by the next one's deployment. Settings of one row change different resources;
# tests/stacks/test_changes.py goes through each alone and through the pairs that meet
ONE_AFTER_THE_OTHER = (
    "certificateArn=" + CERTIFICATE,
    "mediaBucket=videos-of-last-year alarmMail=ana@example.org",
    "flowLogs=false corsOrigins=https://app.example.org",
    "firewall=true instanceType=t3.medium",
    "web=1-2 owner=ana",
    "workers=2-3 databaseClass=db.t3.small",
    "load=true workers=0-0",
)
RAISED = "8.4.9"  # above RDS's default


@pytest.fixture(scope="module")
def living(lab):
    """An account with a system in it, whose database's minor version RDS has raised, and a bucket from before."""
    lab.deploy("bootstrap")
    lab.deploy("up")
    lab.client("rds").modify_db_instance(
        DBInstanceIdentifier=ACADEMY.names.database_instance, EngineVersion=RAISED, ApplyImmediately=True
    )
    lab.client("s3").create_bucket(Bucket="videos-of-last-year")
    return lab


def stacks(lab):
    found = lab.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"}


def test_settings_come_and_go_one_after_the_other(living):
    for settings in (*ONE_AFTER_THE_OTHER, ""):
        said = living.deploy("up", *settings.split())

        assert "The site is at " in said, settings
        assert ("AnbLoad" in stacks(living)) is ("load=true" in settings)
    assert database(living)["EngineVersion"] == RAISED


def test_what_cannot_change_in_place_is_refused_with_the_way(living):
    said = living.deploy("up", "databaseSnapshot=before-the-exam", status=1)

    assert said.splitlines()[-1].startswith("deploy: AnbData cannot become that while it lives: ")
    assert "run make destroy-database first" in said.splitlines()[-1]
    assert database(living)["DBInstanceStatus"] == "available"


def test_a_snapshot_is_restored_with_the_version_that_rds_had_raised_it_to(living):
    living.deploy_answering("database-down", answers="y\ny\n")
    [kept] = living.client("rds").describe_db_snapshots()["DBSnapshots"]

    living.deploy("up", f"databaseSnapshot={kept['DBSnapshotIdentifier']}")

    assert (kept["EngineVersion"], database(living)["EngineVersion"]) == (RAISED, RAISED)


def database(lab):
    [found] = lab.client("rds").describe_db_instances()["DBInstances"]
    return found
