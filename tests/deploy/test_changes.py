"""A living system takes on, changes and drops each setting, by the commands that people use."""

import pytest

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-1111-2222-333344445555"
# Each is turned off again by the next one's deployment
ONE_AFTER_THE_OTHER = (
    "certificateArn=" + CERTIFICATE,
    "mediaBucket=videos-of-last-year",
    "flowLogs=false",
    "firewall=true",
    "alarmMail=ana@example.org",
    "corsOrigins=https://app.example.org",
    "instanceType=t3.medium",
    "web=1-2",
    "workers=2-3",
    "owner=ana",
    "databaseClass=db.t3.small",
)


@pytest.fixture(scope="module")
def living(lab):
    """An account with a system in it, and a bucket from before."""
    lab.deploy("bootstrap")
    lab.deploy("up")
    lab.client("s3").create_bucket(Bucket="videos-of-last-year")
    return lab


def test_settings_come_and_go_one_after_the_other(living):
    for setting in (*ONE_AFTER_THE_OTHER, ""):
        said = living.deploy("up", *filter(None, [setting]))

        assert "The site is at " in said, setting


def test_what_cannot_change_in_place_is_refused_with_the_way(living):
    said = living.deploy("up", "databaseSnapshot=before-the-exam", status=1)

    assert said.splitlines()[-1].startswith("deploy: AnbData cannot become that while it lives: ")
    assert "run make destroy-database first" in said.splitlines()[-1]
    assert living.client("rds").describe_db_instances()["DBInstances"][0]["DBInstanceStatus"] == "available"
