"""Operating what is deployed from one's own machine; AWS is emulated, database and what instances run are not.

The tests share one account and run in this order, as a lab's sessions go.
"""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import insert

from anb.database import connect
from anb.lifecycle import finish
from anb.migrations import upgrade
from anb.models import User, Video
from anb.storage import processed_key, source_key
from anb.timings import Timings
from capacity.costs import Prices
from ops.account.desk import Desk
from ops.account.lab import Lab as Paused
from tests.leases import lease
from tests.people import NAMES


@pytest.fixture(scope="module")
def deployed(lab, database_url):
    """The account after `make deploy`, with a database behind its instances."""
    lab.deploy("bootstrap")
    lab.deploy("up")
    upgrade(connect(database_url, pool_size=2))
    outputs = lab.client("cloudformation").describe_stacks(StackName="AnbMedia")["Stacks"][0]["Outputs"]
    media = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")
    lab.give_instances(
        {name: lab.environment[name] for name in names}
        | {"ANB_DATABASE_URL": database_url, "ANB_MEDIA_BUCKET": media["Bucket"], "ANB_QUEUE_URL": media["Queue"]}
    )
    return lab


@pytest.fixture
def groups(deployed):
    """Return both groups as they are now, web servers first."""

    def now():
        found = deployed.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return sorted(found, key=lambda group: group["AutoScalingGroupName"] == "anb-workers")

    return now


@pytest.fixture
def sizes(groups):
    """Return the least, the most, and how many instances there are of both fleets."""
    return lambda: [(it["MinSize"], it["MaxSize"], len(it["Instances"])) for it in groups()]


def database(lab):
    return lab.client("rds").describe_db_instances()["DBInstances"][0]["DBInstanceStatus"]


def test_what_needs_the_database_runs_on_an_instance(deployed):
    assert deployed.ops("votes") == "every counter agrees with its votes\n"
    assert json.loads(deployed.ops("votes", "--json")) == []


def test_an_instances_exit_code_and_complaint_come_back(deployed):
    said = deployed.ops("trace", "request-42", status=1)

    assert "ops.instance: nothing is known of request-42\n" in said


def test_dead_letters_are_looked_at_from_ones_own_machine(deployed):
    url = deployed.client("sqs").list_queues(QueueNamePrefix="AnbMedia")["QueueUrls"][0]
    deployed.client("sqs").send_message(QueueUrl=url, MessageBody="not a job")

    assert "not a job" in deployed.ops("dlq", "show", status=1)
    deployed.ops("dlq", "drop", "--yes")
    assert deployed.ops("dlq", "show").endswith("0 dead letters\n")


def test_the_status_tells_of_fleets_database_alarms_and_work(deployed):
    deployed.client("cloudwatch").set_alarm_state(
        AlarmName=deployed.client("cloudwatch").describe_alarms()["MetricAlarms"][0]["AlarmName"],
        StateValue="ALARM",
        StateReason="too slow",
    )

    report = json.loads(deployed.ops("status", "--json", status=1))

    assert {name: fleet["wanted"] for name, fleet in report["fleets"].items()} == {"web": 2, "workers": 1}
    assert sorted(report["fleets"]["web"]["in_service"].values()) == [1, 1]
    assert (report["database"], [alarm["reason"] for alarm in report["alarms"]]) == ("available", ["too slow"])
    assert report["work"]["videos"]["uploaded"] == 0
    assert report["cost"]["usd_an_hour"] > 3 * 0.0208 + 0.017  # three instances and the database, and more
    said = deployed.ops("status", status=1)
    assert ("ALARM  AnbObservability" in said, "videos uploaded" in said) == (True, True)


def test_the_month_of_what_is_deployed_costs_what_its_hours_do(deployed):
    an_hour = json.loads(deployed.ops("status", "--json", status=1))["cost"]["usd_an_hour"]

    report = json.loads(deployed.ops("cost", "--deployed", "--json"))

    assert list(report["bills"]) == ["now"]
    assert report["bills"]["now"]["usd_a_month"] == pytest.approx(an_hour * Prices.read().hours_per_month)
    assert "together" in deployed.ops("cost", "--deployed")


@pytest.fixture
def person(database_url, deployed):
    """Somebody with a public video, whose files have had other versions before."""
    engine, video_id = connect(database_url, pool_size=2), uuid4()
    with engine.begin() as connection:
        person = {**NAMES, "email": f"{uuid4().hex}@example.com", "password_hash": "-"}
        user_id = connection.execute(insert(User).values(person)).lastrowid
        video = {"id": video_id, "user_id": user_id, "title": "Canaria", "status": "uploaded", "request_id": "r"}
        connection.execute(insert(Video).values(video))
    with engine.begin() as connection:
        finish(connection, lease(connection, video_id))
    for content in (b"before", b"after"):
        for key in (source_key(video_id, None), processed_key(video_id, 1)):
            deployed.client("s3").put_object(Bucket=bucket(deployed), Key=key, Body=content)
    return person | {"id": user_id, "video": video_id}


def bucket(lab):
    outputs = lab.client("cloudformation").describe_stacks(StackName="AnbMedia")["Stacks"][0]["Outputs"]
    return next(output["OutputValue"] for output in outputs if output["OutputKey"] == "Bucket")


def versions(lab):
    found = lab.client("s3").list_object_versions(Bucket=bucket(lab))
    return [it["Key"] for it in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))]


def commands_sent(lab):
    """What Systems Manager has kept of all commands."""
    return str(lab.client("ssm").list_commands()["Commands"])


def test_a_video_is_taken_down_by_an_instance(deployed, person):
    said = deployed.ops("takedown", str(person["video"]), "usa música ajena")

    assert said == f"took down video {person['video']} with its 0 votes\n"
    assert deployed.client("s3").list_objects_v2(Bucket=bucket(deployed))["KeyCount"] == 1


def test_who_is_forgotten_leaves_no_version_of_a_file_and_no_address_in_the_history(deployed, person):
    receipt = json.loads(deployed.ops("forget", person["email"], "--json"))

    assert (receipt["user_id"], receipt["erased"], receipt["videos"]) == (person["id"], True, [str(person["video"])])
    assert receipt["versions"] >= 4
    assert [key for key in versions(deployed) if str(person["video"]) in key] == []
    assert person["email"] not in commands_sent(deployed)
    assert "there is no such account" in deployed.ops("forget", person["email"], status=1)


def test_the_token_of_a_link_stays_where_it_was_made(deployed, person):
    link = deployed.ops("reset-password", person["email"]).splitlines()[0]

    site, _, token = link.partition("/restablecer#")
    assert site.startswith("http://")
    assert len(token) > 40
    assert token not in commands_sent(deployed)


def keys(lab, of="Signs the API's tokens"):
    found = lab.client("secretsmanager").list_secrets()["SecretList"]
    name = next(it["ARN"] for it in found if it.get("Description") == of)

    def key(stage):
        return lab.client("secretsmanager").get_secret_value(SecretId=name, VersionStage=stage)["SecretString"]

    return key


def test_a_new_key_leaves_the_one_before_in_force(deployed):
    before = keys(deployed)("AWSCURRENT")

    said = deployed.ops("key", "rotate")

    assert said == "replaced the key; web servers notice within 3 minutes, and nobody is signed out\n"
    assert keys(deployed)("AWSPREVIOUS") == before
    assert keys(deployed)("AWSCURRENT") != before


def test_a_second_new_key_within_the_hour_would_sign_people_out(deployed):
    before = keys(deployed)("AWSCURRENT")

    assert "are still in use" in deployed.ops("key", "rotate", status=1)
    assert keys(deployed)("AWSCURRENT") == before


def test_sessions_are_ended_by_a_key_that_is_in_force_no_more(deployed):
    before = keys(deployed)("AWSCURRENT")

    deployed.ops("key", "rotate", "--end-sessions")

    assert before not in {keys(deployed)(stage) for stage in ("AWSCURRENT", "AWSPREVIOUS")}


def test_with_a_new_key_the_addresses_are_still_hashed_as_before(deployed):
    key = keys(deployed, of="Hashes the addresses from which players sign up and vote")
    before = key("AWSCURRENT")

    deployed.ops("key", "rotate", "--end-sessions")

    assert key("AWSCURRENT") == before


def test_suspicious_votes_are_looked_for_on_an_instance(deployed):
    assert deployed.ops("votes", "suspicious").endswith("0 clusters\n")
    assert deployed.ops("votes", "void", "nowhere1", "--note", "x", status=1)


def test_a_fleet_is_given_a_number_of_instances_within_its_limits(deployed, sizes):
    assert deployed.ops("scale", "workers", "2") == "asked for 2 instances of workers instead of 1\n"
    assert sizes() == [(2, 3, 2), (1, 3, 2)]
    assert "SETTINGS=workers=1-4" in deployed.ops("scale", "workers", "4", status=1)
    deployed.ops("scale", "workers", "1")


def test_a_snapshot_is_taken_listed_and_left_over(deployed):
    assert deployed.ops("leftovers") == "Nothing is left over.\n"

    name = json.loads(deployed.ops("snapshot", "take", "--json"))["snapshot"]

    assert [it["name"] for it in json.loads(deployed.ops("snapshot", "list", "--json"))] == [name]
    assert f"aws rds delete-db-snapshot --db-snapshot-identifier {name}\n" in deployed.ops("leftovers", status=1)


def test_log_lines_of_both_fleets_come_in_the_order_of_time(deployed):
    now = int(time.time() * 1000)
    for stack, age_ms in (("AnbWeb", 1000), ("AnbWorker", 5000)):
        found = deployed.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
        (name,) = (it["PhysicalResourceId"] for it in found if it["ResourceType"] == "AWS::Logs::LogGroup")
        stream = {"logGroupName": name, "logStreamName": "i-1/x"}
        deployed.client("logs").create_log_stream(**stream)
        events = [{"timestamp": now - age_ms, "message": "request-7"}]
        deployed.client("logs").put_log_events(**stream, logEvents=events)

    said = deployed.ops("logs", "request-7").splitlines()

    assert said == ["AnbWorker/i-1/x  request-7", "AnbWeb/i-1/x  request-7"]
    assert deployed.ops("logs", "request-8") == ""


def test_a_pause_that_only_looks_changes_nothing(deployed, sizes):
    said = deployed.ops("pause", "--dry-run")

    assert "would end 2 instances of web" in said
    assert (sizes(), database(deployed)) == ([(2, 3, 2), (1, 3, 1)], "available")


def test_a_session_that_ends_without_a_pause_has_its_instances_replaced(deployed, groups):
    (before,) = (it["InstanceId"] for it in groups()[1]["Instances"])

    deployed.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=before, ShouldDecrementDesiredCapacity=False
    )

    (after,) = (it["InstanceId"] for it in groups()[1]["Instances"])
    assert after != before


def test_a_session_that_ends_in_the_middle_of_a_pause_has_nothing_replaced(deployed, groups, monkeypatch):
    for name, value in deployed.environment.items():
        monkeypatch.setenv(name, value)
    with Desk({}, Timings()) as desk:
        desk.aws = True
        Paused(desk, lambda _line: None).suspend()

    for group in groups():
        for instance in group["Instances"]:
            deployed.client("autoscaling").terminate_instance_in_auto_scaling_group(
                InstanceId=instance["InstanceId"], ShouldDecrementDesiredCapacity=False
            )

    assert [len(group["Instances"]) for group in groups()] == [0, 0]


def test_a_pause_goes_on_where_it_was_interrupted(deployed, sizes):
    said = deployed.ops("pause")

    assert (sizes(), database(deployed)) == ([(0, 0, 0), (0, 0, 0)], "stopped")
    for what in ("load balancer, 0.0225", "load balancer addresses, 0.0100", "database storage, 0.0032"):
        assert f"still costs: {what} USD an hour\n" in said
    assert "still costs: database db" not in said
    assert re.search(r"It costs 0\.0\d+ USD an hour as it is, and has cost some \d+\.\d\d USD since 20", said)
    assert "RDS starts it by itself 7 days after that" in said


def test_a_second_pause_changes_nothing(deployed, sizes):
    report = json.loads(deployed.ops("pause", "--json").partition("{")[2].join(["{", ""]))

    assert (report["in_service"], report["database"]) == ({"web": 0, "workers": 0}, "stopped")
    assert sum(report["cost"]["lines"].values()) == report["cost"]["usd_an_hour"]
    assert sizes() == [(0, 0, 0), (0, 0, 0)]


def test_while_the_system_rests_nothing_runs_that_could_be_asked(deployed):
    assert "no instance answers Systems Manager" in deployed.ops("votes", status=1)


def test_a_resumption_brings_back_what_was_deployed(deployed, sizes):
    said = deployed.ops("resume")

    assert (sizes(), database(deployed)) == ([(2, 3, 2), (1, 3, 1)], "available")
    assert "The site is at http://" in said
    assert deployed.ops("votes") == "every counter agrees with its votes\n"


def scheduled(lab):
    found = lab.client("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    return [(it["MinSize"], it["MaxSize"], it["DesiredCapacity"], it["StartTime"]) for it in found]


def test_a_session_that_is_forgotten_ends_by_itself(deployed):
    deployed.ops("resume", "--for", "3h50m")

    ends = scheduled(deployed)
    assert [end[:3] for end in ends] == [(0, 0, 0), (0, 0, 0)]
    due = datetime.now(UTC) + timedelta(hours=3, minutes=50)
    assert all(due - timedelta(minutes=5) < end[3] <= due for end in ends)


def test_a_resumption_without_an_end_takes_the_end_back(deployed):
    deployed.ops("resume")

    assert scheduled(deployed) == []


@pytest.mark.parametrize("span", ["4", "5m", "25h", "h", "four hours"])
def test_a_length_that_means_nothing_is_a_wrong_use(deployed, span):
    assert "is no time between 10m and 24h" in deployed.ops("resume", "--for", span, status=2)
