"""The videos and the queue."""

from dataclasses import replace

from anb.jobs import MAX_RECEIVES
from anb_worker.lease import LEASE_SECONDS
from stacks import names
from stacks.profiles import ACADEMY


def queues(assembly):
    found = list(assembly.resources("AWS::SQS::Queue"))
    jobs = next(queue for queue in found if "RedrivePolicy" in queue.properties)
    return jobs, next(queue for queue in found if queue.logical_id != jobs.logical_id)


def bucket(assembly):
    return assembly.only("AnbMedia", "AWS::S3::Bucket").properties


def test_a_message_is_hidden_for_as_long_as_its_video_is_leased(assembly):
    assert queues(assembly)[0].properties["VisibilityTimeout"] == LEASE_SECONDS


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
    assert str(allowed["sourceQueueArns"]).endswith(f":{names.JOB_QUEUE}']]}}]")
    assert jobs.properties["QueueName"] == names.JOB_QUEUE


def test_workers_wait_for_messages_instead_of_asking_again_and_again(assembly):
    assert queues(assembly)[0].properties["ReceiveMessageWaitTimeSeconds"] == 20


def test_queues_and_buckets_refuse_what_is_not_tls(assembly):
    for type_ in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
        for policy in assembly.resources(type_):
            statements = policy.properties["PolicyDocument"]["Statement"]
            assert any(
                s["Effect"] == "Deny" and s["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
                for s in statements
                if "Condition" in s
            ), policy.logical_id


def test_no_bucket_is_public(assembly):
    for found in assembly.resources("AWS::S3::Bucket"):
        assert set(found.properties["PublicAccessBlockConfiguration"].values()) == {True}


def test_videos_keep_their_versions_for_a_week(assembly):
    rules = {rule.get("Id"): rule for rule in bucket(assembly)["LifecycleConfiguration"]["Rules"]}

    assert bucket(assembly)["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rules["abandoned"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert rules["abandoned"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["sources"]["Prefix"] == "uploads/"
    assert "ExpirationInDays" not in rules["sources"]


def test_browsers_may_post_files_straight_to_the_bucket(assembly):
    (rule,) = bucket(assembly)["CorsConfiguration"]["CorsRules"]

    assert rule["AllowedMethods"] == ["POST", "GET"]
    assert rule["AllowedOrigins"] == ["*"]


def test_an_existing_bucket_is_used_as_it_is(synthesise):
    assembly = synthesise(replace(ACADEMY, media_bucket="videos-of-last-year")).assembly

    assert not [found for found in assembly.resources("AWS::S3::Bucket") if found.stack == "AnbMedia"]
    assert "videos-of-last-year" in str(assembly.templates["AnbWorker"])
