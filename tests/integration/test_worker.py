"""The worker's loop with a real row, object, message and ffmpeg."""

import io
import threading

import boto3
import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from anb import lifecycle
from anb.database import connect
from anb.jobs import Job
from anb.models import Status, Video, now
from anb.storage import new_source, prefixes, processed_key, source_key, thumbnail_key
from anb.timings import Timings
from anb_worker.loop import Worker
from tests.leases import lease
from tests.waiting import until


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def worker(make_worker, stop, any_clip_will_do):  # noqa: ARG001 for the rules that it makes
    return make_worker(stop=stop, timings=Timings(stop_grace_seconds=0))


@pytest.fixture
def work(worker, jobs):
    """Let the worker handle one message."""

    def once():
        worker.handle(jobs.receive(wait_seconds=2))

    return once


def test_a_job_ends_with_a_public_video_and_an_empty_queue(enqueue, work, row, keys, jobs, short_clip, tmp_path):
    video = enqueue(short_clip)

    work()

    assert row(video).status == Status.PROCESSED
    assert keys() == {source_key(video.id, None), processed_key(video.id, 1), thumbnail_key(video.id, 1)}
    assert jobs.backlog() == 0
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"), [(b"just text", "MP4"), (None, "El archivo original ya no está en el almacenamiento.")]
)
def test_what_can_never_work_fails_at_once_with_a_reason(enqueue, work, row, jobs, content, reason):
    video = enqueue(content)

    work()

    assert row(video).status == Status.FAILED
    assert reason in row(video).error
    assert jobs.backlog() == 0


@pytest.mark.parametrize(("clip", "reason"), [("12 seconds", "dura 12,0 segundos"), ("720p", "mide 1280x720")])
def test_a_source_that_the_contest_does_not_accept_fails_with_the_reason(
    enqueue, make_worker, jobs, row, keys, clips, clip, reason
):
    video = enqueue(clips[clip].read_bytes())

    make_worker().handle(jobs.receive(wait_seconds=2))

    assert (row(video).status, row(video).crashes) == (Status.FAILED, 1)
    assert reason in row(video).error
    assert keys() == {source_key(video.id, None)}


def test_the_source_that_was_accepted_is_what_is_processed(make_video, storage, jobs, work, row, short_clip):
    video = make_video(source=new_source())
    storage.put(source_key(video.id, video.source), io.BytesIO(short_clip), content_type="video/mp4")
    for other in (None, new_source()):
        storage.put(source_key(video.id, other), io.BytesIO(b"something else"), content_type="video/mp4")
    jobs.send([Job(video_id=video.id, request_id="request-1")])

    work()

    assert row(video).status == Status.PROCESSED


def test_a_file_with_good_boxes_and_garbage_in_them_fails_with_a_reason(enqueue, work, row, short_clip):
    start = short_clip.index(b"mdat") + 4
    video = enqueue(short_clip[:start] + b"\xff" * (len(short_clip) - start))

    work()

    assert row(video).status == Status.FAILED
    assert row(video).error


def test_a_repeated_message_does_nothing(enqueue, work, row, keys, jobs, short_clip):
    video = enqueue(short_clip)
    jobs.send([Job(video_id=video.id, request_id="request-1")])
    work()
    before = (row(video), keys())

    work()

    assert (row(video).attempt, keys()) == (before[0].attempt, before[1])
    assert jobs.backlog() == 0


def test_a_message_for_a_video_that_somebody_works_on_is_hidden(enqueue, work, row, engine, jobs, short_clip):
    video = enqueue(short_clip)
    with engine.begin() as connection:
        lifecycle.claim(connection, video_id=video.id, owner="other", timings=Timings())

    work()

    assert row(video).attempt == 1
    assert jobs.receive(wait_seconds=0) is None
    assert jobs.backlog() == 1


def test_an_unreadable_message_becomes_a_dead_letter(aws, work, jobs):
    boto3.client("sqs").send_message(QueueUrl=aws.environment["ANB_QUEUE_URL"], MessageBody="not json")
    for _ in range(6):
        work()

    assert jobs.receive(wait_seconds=0) is None
    assert jobs.backlog() == 0


def test_a_message_that_arrives_while_stopping_is_handed_back(enqueue, work, row, stop, jobs, short_clip):
    video = enqueue(short_clip)
    stop.set()

    work()

    assert row(video).attempt == 0
    assert jobs.receive(wait_seconds=1).job.video_id == video.id


def test_a_job_that_stopping_interrupts_is_released_and_is_no_crash(
    enqueue, work, row, keys, stop, jobs, long_clip, tmp_path
):
    video = enqueue(long_clip)
    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))

    stop.set()
    thread.join()

    assert (row(video).status, row(video).crashes) == (Status.UPLOADED, 0)
    assert keys() == {source_key(video.id, None)}
    assert list((tmp_path / "scratch").iterdir()) == []
    assert jobs.receive(wait_seconds=1).job.video_id == video.id


def test_a_worker_that_shall_stop_while_the_database_is_away_hands_its_message_back_and_stops(
    enqueue, worker, row, stop, jobs, long_clip, tmp_path
):
    video, errors = enqueue(long_clip), []

    def work():
        try:
            worker.handle(jobs.receive(wait_seconds=2))
        except OperationalError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))
    worker._engine = connect("mysql+pymysql://nobody:nothing@127.0.0.1:1/nothing", pool_size=1)

    stop.set()
    thread.join(20)

    assert len(errors) == 1
    assert jobs.receive(wait_seconds=1).job.video_id == video.id
    assert (row(video).status, row(video).attempt) == (Status.PROCESSING, 1)


def test_a_video_deleted_while_it_is_processed_leaves_no_object(
    enqueue, work, row, keys, engine, storage, jobs, long_clip, tmp_path
):
    video = enqueue(long_clip)
    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))

    with engine.begin() as connection:
        lifecycle.delete_own(connection, owner_id=video.user_id, video_id=video.id)
    storage.delete(prefixes(video.id))
    thread.join()
    work()

    assert row(video).status == Status.DELETED
    assert keys() == set()
    assert jobs.backlog() == 0


def test_a_worker_that_was_overtaken_removes_its_own_result(enqueue, work, row, keys, engine, long_clip, tmp_path):
    video = enqueue(long_clip)
    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: list((tmp_path / "scratch").rglob("*body*")))

    with engine.begin() as connection:
        connection.execute(update(Video).where(Video.id == video.id).values(lease_until=now(plus_seconds=-1)))
        winner = lease(connection, video.id)
    thread.join()

    assert (row(video).status, row(video).attempt) == (Status.PROCESSING, winner.attempt)
    assert keys() == {source_key(video.id, None)}


def test_an_absent_object_store_costs_the_video_no_attempt(
    enqueue, worker, row, jobs, storage, short_clip, monkeypatch
):
    def away(_key, _path):
        raise ConnectionError("the store is away")

    video = enqueue(short_clip)
    monkeypatch.setattr(storage, "download", away)

    worker.handle(jobs.receive(wait_seconds=2))

    assert (row(video).status, row(video).crashes) == (Status.UPLOADED, 0)
    assert jobs.backlog() == 1


def test_what_an_earlier_life_left_in_scratch_is_removed(engine, storage, jobs, tmp_path, stop):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "left.mp4").touch()

    Worker(
        engine=engine,
        storage=storage,
        jobs=jobs,
        scratch=tmp_path / "scratch",
        owner="test",
        stop=stop,
        timings=Timings(),
    )

    assert list((tmp_path / "scratch").iterdir()) == []
