import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb.jobs import Job, SendFailed
from anb.lifecycle import mark_enqueued
from anb.models import Status, Video, now
from anb.relay import mark_uploaded_and_enqueue, relay
from anb.timings import Timings


@pytest.fixture
def due(engine, make_video):
    """Make an uploaded video that is due for the queue."""

    def make(*, seconds_ago=1, enqueue_count=0, **values):
        video = make_video(enqueue_count=enqueue_count, **values)
        with engine.begin() as connection:
            connection.execute(
                update(Video).where(Video.id == video.id).values(next_enqueue_at=now(plus_seconds=-seconds_ago))
            )
        return video

    return make


@pytest.fixture
def relay_once(engine, jobs):
    def run():
        with engine.begin() as connection:
            return relay(connection, jobs, timings=Timings())

    return run


def received(jobs):
    found = []
    while message := jobs.receive(wait_seconds=0):
        found.append(message.job.video_id)
        jobs.delete(message)
    return found


def test_a_video_that_never_reached_the_queue_is_sent(due, relay_once, jobs):
    video = due()

    assert relay_once() == 1
    assert received(jobs) == [video.id]


def test_a_sent_video_is_not_due_again_at_once(due, relay_once):
    due()
    relay_once()

    assert relay_once() == 0


def test_a_video_whose_message_was_lost_is_sent_again_when_the_queue_is_empty(due, relay_once, jobs):
    video = due(enqueue_count=3)

    relay_once()

    assert received(jobs) == [video.id]


def test_a_busy_queue_keeps_its_messages_for_itself(due, relay_once, jobs, make_video):
    jobs.send([Job(video_id=make_video().id, request_id="x")])
    due(enqueue_count=1)

    assert relay_once() == 0


def test_a_busy_queue_is_trusted_for_a_while_only(due, relay_once, jobs, make_video):
    jobs.send([Job(video_id=make_video().id, request_id="x")])
    due(enqueue_count=1, seconds_ago=901)

    assert relay_once() == 1


def test_a_video_whose_worker_died_is_sent_again(due, relay_once):
    due(status=Status.PROCESSING, enqueue_count=1)

    assert relay_once() == 1


@pytest.mark.parametrize("status", [Status.AWAITING_UPLOAD, Status.PROCESSED, Status.FAILED])
def test_what_needs_no_worker_is_not_sent(due, relay_once, status):
    due(status=status)

    assert relay_once() == 0


def test_relays_that_run_together_take_different_videos(due, engine, jobs):
    due()
    with engine.begin() as first, engine.begin() as second:
        assert relay(first, jobs, timings=Timings()) == 1
        assert relay(second, jobs, timings=Timings()) == 0


def test_a_refusing_queue_leaves_the_video_due(due, jobs, relay_once):
    def refuse(_):
        raise SendFailed("1 of 1 messages")

    due()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "send", refuse)
        with pytest.raises(SendFailed):
            relay_once()

    assert relay_once() == 1


def test_each_sending_doubles_the_wait_for_the_next(due, engine, relay_once):
    video = due(enqueue_count=2)
    relay_once()

    with engine.begin() as connection:
        seconds = connection.scalar(
            text("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(6), next_enqueue_at) FROM videos WHERE id = :id"),
            {"id": video.id.hex},
        )
    assert 470 <= seconds <= 480


def test_a_first_message_that_a_worker_has_overtaken_changes_nothing(engine, make_video, row):
    video = make_video(status=Status.PROCESSING, enqueue_count=1)

    with engine.begin() as connection:
        mark_enqueued(connection, video_id=video.id, timings=Timings())

    assert row(video).enqueue_count == 1


@pytest.fixture
def reservation(make_video):
    return make_video(status=Status.AWAITING_UPLOAD)


@pytest.fixture
def complete(engine, jobs, reservation):
    """Complete the upload of the reservation, over this engine and this queue."""

    def run(*, engine=engine, jobs=jobs):
        return mark_uploaded_and_enqueue(
            engine, jobs, video_id=reservation.id, source="0" * 32, size_bytes=1, request_id="x", timings=Timings()
        )

    return run


class CalledBack:
    """A queue that takes a message by calling a function."""

    def __init__(self, send):
        self.send = send


def raising(error):
    def send(_):
        raise error

    return CalledBack(send)


def test_an_uploaded_video_is_committed_before_its_job_is_sent(complete, row, reservation):
    seen = []

    assert complete(
        jobs=CalledBack(lambda sent: seen.append((row(reservation).status, [job.video_id for job in sent])))
    )
    assert seen == [(Status.UPLOADED, [row(reservation).id])]
    assert row(reservation).enqueue_count == 1


@pytest.mark.parametrize(
    "error",
    [
        SendFailed("1 of 1 messages"),
        EndpointConnectionError(endpoint_url="https://sqs.example.com"),
        ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_upload_whose_job_cannot_be_sent_is_complete_and_left_to_the_relay(
    complete, row, engine, relay_once, jobs, error, reservation
):
    assert complete(jobs=raising(error))
    assert (row(reservation).status, row(reservation).enqueue_count) == (Status.UPLOADED, 0)
    assert relay_once() == 0  # as its own request may still be sending it

    with engine.begin() as connection:
        connection.execute(update(Video).values(next_enqueue_at=now(plus_seconds=-1)))
    assert relay_once() == 1
    assert received(jobs) == [row(reservation).id]


@pytest.mark.parametrize(
    "error", [OperationalError("COMMIT", {}, Exception("gone away")), PoolTimeout("no connection")], ids=repr
)
def test_an_upload_is_complete_when_nobody_could_note_that_its_job_was_sent(
    engine, complete, row, jobs, error, reservation
):
    class Away:
        """A database that is away once the upload is committed."""

        def begin(self):
            if row(reservation).status == Status.UPLOADED:
                raise error
            return engine.begin()

    assert complete(engine=Away())
    assert (row(reservation).status, row(reservation).enqueue_count) == (Status.UPLOADED, 0)
    assert received(jobs) == [row(reservation).id]


def test_of_two_that_fill_a_reservation_the_first_completes_it_and_sends_its_job(complete, jobs, reservation):
    assert complete()
    assert not complete()
    assert received(jobs) == [reservation.id]
