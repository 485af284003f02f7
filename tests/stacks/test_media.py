"""The videos and the queue."""

import re
from dataclasses import replace
from uuid import UUID

from anb.jobs import MAX_RECEIVES
from anb.storage import incoming_key
from anb.timings import Timings
from stacks.profiles import ACADEMY

BUCKET = "AWS::S3::Bucket"


def queues(assembly):
    found = list(assembly.resources("AWS::SQS::Queue"))
    jobs = next(queue for queue in found if "RedrivePolicy" in queue.properties)
    return jobs, next(queue for queue in found if queue.logical_id != jobs.logical_id)


def bucket(assembly):
    return assembly.only("AnbMedia", "AWS::S3::Bucket").properties


def test_a_message_is_hidden_for_as_long_as_its_video_is_leased(assembly):
    assert queues(assembly)[0].properties["VisibilityTimeout"] == Timings().lease_seconds


def test_a_message_is_dead_after_as_many_receives_as_the_service_counts_on(assembly):
    jobs, dead = queues(assembly)

    assert jobs.properties["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    assert assembly.follow("AnbMedia", jobs.properties["RedrivePolicy"]["deadLetterTargetArn"]) == dead


def test_dead_letters_outlive_the_queue_and_come_from_it_alone(assembly):
    jobs, dead = queues(assembly)
    allowed = dead.properties["RedriveAllowPolicy"]

    assert dead.properties["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert jobs.properties["MessageRetentionPeriod"] < dead.properties["MessageRetentionPeriod"]
    assert allowed["redrivePermission"] == "byQueue"
    assert str(allowed["sourceQueueArns"]).endswith(f":{ACADEMY.names.job_queue}']]}}]")
    assert jobs.properties["QueueName"] == ACADEMY.names.job_queue


def test_workers_wait_for_messages_instead_of_asking_again_and_again(assembly):
    assert queues(assembly)[0].properties["ReceiveMessageWaitTimeSeconds"] == 20


def test_no_bucket_with_something_in_it_stands_in_the_way_of_a_destruction(academy, production):
    policies = {
        synthesis.profile.name: {found.definition["DeletionPolicy"] for found in synthesis.assembly.resources(BUCKET)}
        for synthesis in (academy, production)
    }

    assert policies == {"academy": {"RetainExceptOnCreate"}, "production": {"Retain"}}


def test_queues_and_buckets_refuse_what_is_not_tls(assembly):
    for type_ in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
        policies = list(assembly.resources(type_))
        assert policies, type_
        for policy in policies:
            statements = policy.properties["PolicyDocument"]["Statement"]
            assert any(
                s["Effect"] == "Deny" and s["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
                for s in statements
                if "Condition" in s
            ), policy.logical_id


def test_no_bucket_is_public(assembly):
    buckets = list(assembly.resources("AWS::S3::Bucket"))

    assert buckets
    for found in buckets:
        assert set(found.properties["PublicAccessBlockConfiguration"].values()) == {True}


def test_videos_keep_their_versions_for_a_week(assembly):
    rules = {rule.get("Id"): rule for rule in bucket(assembly)["LifecycleConfiguration"]["Rules"]}

    assert bucket(assembly)["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rules["abandoned"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert rules["abandoned"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["sources"]["Prefix"] == "uploads/"
    assert "ExpirationInDays" not in rules["sources"]


def test_what_browsers_have_posted_expires_after_a_day_with_its_old_versions(assembly):
    (rule,) = (r for r in bucket(assembly)["LifecycleConfiguration"]["Rules"] if r.get("Id") == "incoming")

    assert (rule["Prefix"], rule["Status"]) == ("incoming/", "Enabled")
    assert rule["ExpirationInDays"] == 1
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rule["Prefix"] == incoming_key(UUID(int=7)).split("/")[0] + "/"


def allowed(assembly, stack, action):
    """Return the folders in which the stack's role may do this."""
    statements = [
        statement
        for policy in assembly.resources("AWS::IAM::Policy")
        if policy.stack == stack
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if action in str(statement["Action"])
    ]
    return set(re.findall(r"(incoming|uploads|processed|thumbnails)/\*", str([s["Resource"] for s in statements])))


def test_only_the_web_tier_touches_what_browsers_have_posted(production):
    assembly = production.assembly
    actions = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")

    assert [("incoming" in allowed(assembly, "AnbWeb", action)) for action in actions] == [True] * 3
    assert [("incoming" in allowed(assembly, "AnbWorker", action)) for action in actions] == [False] * 3
    assert allowed(assembly, "AnbWeb", "s3:PutObject") == {"incoming", "uploads"}
    assert allowed(assembly, "AnbWorker", "s3:PutObject") == {"processed", "thumbnails"}


def test_browsers_may_post_files_straight_to_the_bucket(assembly):
    (rule,) = bucket(assembly)["CorsConfiguration"]["CorsRules"]

    assert rule["AllowedMethods"] == ["POST", "GET"]
    assert rule["AllowedOrigins"] == ["*"]


def test_an_existing_bucket_is_used_as_it_is(synthesise):
    assembly = synthesise(replace(ACADEMY, media_bucket="videos-of-last-year")).assembly

    for stack in ("AnbWeb", "AnbWorker"):
        assert "videos-of-last-year" in str(assembly.templates[stack])
        assert "AnbMedia:ExportsOutputRefVideos" not in str(assembly.templates[stack])


def test_a_bucket_of_our_own_outlasts_the_choice_of_another(academy, synthesise):
    named = synthesise(replace(ACADEMY, media_bucket="videos-of-last-year")).assembly

    assert bucket(named) == bucket(academy.assembly)
    assert exports(academy.assembly.templates["AnbMedia"]) <= exports(named.templates["AnbMedia"])


def exports(template):
    return {output["Export"]["Name"] for output in template["Outputs"].values() if "Export" in output}
