from uuid import uuid4

import boto3
import pytest

from anb.jobs import MAX_RECEIVES, Job


def make_job():
    return Job(video_id=uuid4(), request_id="request-1")


def test_a_job_arrives_as_it_was_sent(jobs):
    job = make_job()
    jobs.send([job])

    message = jobs.receive(wait_seconds=1)

    assert message is not None
    assert message.job == job


def test_ten_jobs_travel_together(jobs):
    sent = {make_job() for _ in range(10)}
    jobs.send(list(sent))

    assert {jobs.receive(wait_seconds=1).job for _ in range(10)} == sent


def test_an_empty_queue_gives_nothing(jobs):
    assert jobs.receive(wait_seconds=0) is None


def test_a_received_message_is_hidden_until_it_is_handed_back(jobs):
    jobs.send([make_job()])
    message = jobs.receive(wait_seconds=1)

    assert jobs.receive(wait_seconds=0) is None
    jobs.change_visibility(message, seconds=0)
    assert jobs.receive(wait_seconds=1).job == message.job


def test_a_deleted_message_is_gone(jobs):
    jobs.send([make_job()])

    jobs.delete(jobs.receive(wait_seconds=1))

    assert jobs.backlog() == 0


def test_the_backlog_counts_what_waits_and_what_is_worked_on(jobs):
    jobs.send([make_job(), make_job()])
    jobs.receive(wait_seconds=1)

    assert jobs.backlog() == 2


@pytest.mark.parametrize("body", ["not json", '{"video_id": "x"}'])
def test_an_unreadable_body_arrives_untouched_and_without_a_job(jobs, aws, body):
    boto3.client("sqs").send_message(QueueUrl=aws.environment["ANB_QUEUE_URL"], MessageBody=body)

    message = jobs.receive(wait_seconds=1)

    assert message.job is None
    assert message.body == body


def test_a_message_that_keeps_coming_back_becomes_a_dead_letter(jobs):
    jobs.send([make_job()])
    for _ in range(MAX_RECEIVES):
        jobs.change_visibility(jobs.receive(wait_seconds=1), seconds=0)

    assert jobs.receive(wait_seconds=0) is None
    assert jobs.backlog() == 0
