"""The database, the queue, the store, the disk and ffmpeg fail the processes that are alive."""

import signal
import time

from local.emulator import QUEUE
from local.tcp_proxy import Loss
from tests.faults.clients import Clients
from tests.faults.stage import Stage
from tests.waiting import until

ACCEPTS_WITHIN_SECONDS = 6  # of which the sending may take 3

# The statement by which a transaction is known on the wire
STATEMENTS = {
    "reserve": b"INSERT INTO videos",
    "mark_uploaded": b"uploaded_at=UTC_TIMESTAMP",
    "mark_enqueued": b"enqueue_count=(videos.enqueue_count",
    "claim": b"lease_owner=",
    "finish": b"processed_at=UTC_TIMESTAMP",
    "cast_vote": b"INSERT INTO uncounted_votes",
    "tally": b"DELETE FROM uncounted_votes",
    "delete_own": b"SET title='', status='deleted'",
    "refuse": b"SET status='refused'",
    "give_up": b"SET status='failed'",
    "release": b"crashes=(videos.crashes -",
}


def _upload_meanwhile(clients: Clients, number: int = 5) -> list[str]:
    """Upload while the queue is away; no player may notice."""
    slow = []
    for _ in range(number):
        began = time.monotonic()
        clients.upload()
        if (took := time.monotonic() - began) > ACCEPTS_WITHIN_SECONDS:
            slow.append(f"an upload took {took:.1f} s while the queue was away")
    return slow


def queue_refuses(stage: Stage) -> None:
    """Nobody can reach the queue, and players upload all the same."""
    clients = stage.begin()
    stage.world.to_queue.refuses = True
    stage.world.to_queue.cut()
    slow = _upload_meanwhile(clients)
    stage.world.to_queue.heal()
    clients.history.fault()
    verdict = stage.end("the queue refuses", clients, orphans=False)
    verdict.problems += slow


def queue_hangs(stage: Stage) -> None:
    """The queue answers nothing, while a job is under way and while players upload."""
    clients = stage.begin()
    stage.world.ffmpeg("slow8", once=True)
    first = clients.upload()
    stage.await_status(first, "processing", "processed")
    stage.world.to_queue.hang()
    slow = _upload_meanwhile(clients)
    stage.world.to_queue.heal()
    clients.history.fault()
    verdict = stage.end("the queue hangs", clients, orphans=False)
    verdict.problems += slow


def queue_goes_dark(stage: Stage) -> None:
    """The queue answers nothing, and what hangs then stays dead: no answer ever comes on those connections."""
    clients = stage.begin()
    stage.world.to_queue.hang()
    slow = _upload_meanwhile(clients, 3)
    stage.world.to_queue.heal_for_new_connections()
    clients.history.fault()
    verdict = stage.end("the queue's connections are half open", clients, orphans=False)
    verdict.problems += slow


def queue_purged(stage: Stage) -> None:
    """Every message is lost, of videos that wait."""
    clients = stage.begin(workers=0)
    for _ in range(12):
        clients.upload()
    stage.world.sqs.purge_queue(QueueUrl=stage.world.queue_url())
    clients.history.fault()
    stage.start(stage.workers)
    stage.end("the queue is purged with 12 videos waiting", clients, orphans=False)


def queue_recreated(stage: Stage) -> None:
    """The queue is deleted and made again while players upload."""
    clients = stage.begin()
    with clients.meanwhile(8, clients.upload, threads=2):
        stage.world.sqs.delete_queue(QueueUrl=stage.world.queue_url(QUEUE))
        time.sleep(3)  # so long there is no queue
        stage.world.emulator.create_resources()
    clients.history.fault()
    stage.end("the queue is deleted and made again", clients, orphans=False)


def send_unanswered(stage: Stage) -> None:
    """The queue takes a message and its answer is lost."""
    clients = stage.begin(workers=0)
    before = stage.world.to_queue.lost
    stage.world.to_queue.losses = [Loss(b"AmazonSQS.SendMessageBatch", times=3)]
    for _ in range(3):
        clients.upload()
    lost = stage.world.to_queue.lost - before
    clients.history.fault()
    stage.start(stage.workers)
    verdict = stage.end("the answer to SendMessage is lost", clients, runs=3, orphans=False)
    if lost < 3:
        verdict.problems.append(f"only {lost} of 3 answers were lost")


def database_killed(stage: Stage) -> None:
    """MariaDB is killed three times while players upload and vote."""
    clients = stage.begin()
    voters = [clients.join() for _ in range(5)]
    published = stage.publish(clients, 10)
    ballots = iter([(video_id, voter) for video_id in published for voter in voters])
    with (
        clients.meanwhile(20, clients.upload, threads=3) as uploads,
        clients.meanwhile(50, lambda: clients.vote(*next(ballots)), threads=2),
    ):
        for done in (3, 8, 14):
            until(lambda least=done: uploads.done() >= least, seconds=120)  # type: ignore[misc]
            until(lambda: stage.world.is_alive("database"), seconds=60)
            stage.world.kill("database", signal.SIGKILL)
    until(lambda: stage.world.is_alive("database"), seconds=60)
    clients.history.fault()
    stage.end("MariaDB is killed three times under load", clients, runs=3)


def database_hangs(stage: Stage) -> None:
    """The network to the database swallows everything for longer than a lease, while a job is under way."""
    clients = stage.begin()
    stage.world.ffmpeg("slow5", once=True)
    video_id = clients.upload()
    stage.await_status(video_id, "processing", "processed")
    stage.world.to_database.hang()
    time.sleep(1.5 * stage.world.lease_seconds)  # so long nothing passes
    stage.world.to_database.heal()
    clients.history.fault()
    stage.end("the database hangs for longer than a lease", clients)


def commits_unanswered(stage: Stage) -> None:
    """The database commits, and its answer is lost: once for each transaction."""
    clients = stage.begin()
    voter = clients.join()
    (video_id,) = stage.publish(clients, 1)
    unlost = []
    for name, statement in STATEMENTS.items():
        before = stage.world.to_database.lost
        stage.world.to_database.losses = [Loss(b"COMMIT", after=statement)]
        if name == "cast_vote":
            clients.vote(video_id, voter)
        elif name == "tally":
            clients.vote(video_id, clients.join())
        elif name == "delete_own":
            stage.stop(stage.workers)
            clients.delete(clients.upload())
            stage.start(stage.workers)
        elif name == "refuse":
            clients.upload_in_vain(stage.small_clip)
        elif name == "give_up":
            clients.upload(clip=stage.bad_clip, wanted="failed")
        else:
            if name == "release":
                stage.world.ffmpeg("killed", once=True)
            clients.upload()
        try:
            until(lambda count=before: stage.world.to_database.lost > count, seconds=60)  # type: ignore[misc]
        except AssertionError:
            unlost.append(name)
    clients.history.fault()
    verdict = stage.end("the answer to COMMIT is lost, at each transaction", clients, runs=len(STATEMENTS))
    if unlost:
        verdict.problems.append(f"no answer was lost for {unlost}")


def store_fails(stage: Stage) -> None:
    """The store answers 500 to everything, while players upload and workers download."""
    clients = stage.begin(workers=0)
    for _ in range(3):
        clients.upload()
    stage.world.to_store.cut()
    stage.world.to_store.answer = (
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    stage.world.to_store.cut()
    stage.start(stage.workers)
    with clients.meanwhile(3, clients.upload, threads=3):
        time.sleep(8)  # so long the store fails
        stage.world.to_store.heal()
    clients.history.fault()
    stage.end("the store fails", clients)


def bucket_missing(stage: Stage) -> None:
    """The bucket is not there for a while: that says nothing about a single video."""
    clients = stage.begin(workers=0)
    for _ in range(3):
        clients.upload()
    stage.world.to_store.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    stage.world.to_store.cut()
    stage.start(stage.workers)
    time.sleep(6)  # so long there is no bucket
    stage.world.to_store.heal()
    clients.history.fault()
    stage.end("the bucket is missing for a while", clients)


def store_is_slow(stage: Stage) -> None:
    """Every answer of the store takes its time."""
    clients = stage.begin()
    stage.world.to_store.latency_seconds = 1
    for _ in range(3):
        clients.upload()
    stage.world.to_store.heal()
    clients.history.fault()
    stage.end("the store is slow", clients, orphans=False)


def store_truncates(stage: Stage) -> None:
    """Connections to the store break in the middle of an object."""
    clients = stage.begin(workers=0)
    uploaded = [clients.upload() for _ in range(3)]
    stage.world.to_store.truncate_after = 50_000
    stage.world.to_store.cut()
    stage.start(stage.workers)
    time.sleep(12)  # so long connections break
    stage.world.to_store.heal()
    clients.history.fault()
    verdict = stage.end("the store truncates", clients)
    # The claim that led to the end stays counted
    if crashed := [video_id for video_id in uploaded if stage.status(video_id)[2] != 1]:
        verdict.problems.append(f"a fault of the store counts as a crash of {len(crashed)} videos")


def store_hangs(stage: Stage) -> None:
    """The store swallows everything for a while."""
    clients = stage.begin(workers=0)
    for _ in range(2):
        clients.upload()
    stage.world.to_store.hang()
    stage.start(stage.workers)
    with clients.meanwhile(2, clients.upload, threads=2):
        time.sleep(10)  # so long the store hangs
        stage.world.to_store.heal()
    clients.history.fault()
    stage.end("the store hangs", clients)


def disk_full(stage: Stage) -> None:
    """A worker's scratch is too small for the video; another worker has room."""
    clients = stage.begin(workers=0)
    large = stage.clip.with_name("large.mp4")
    large.write_bytes(stage.clip.read_bytes() + (4 << 20).to_bytes(4) + b"free" + bytes((4 << 20) - 8))
    video_id = clients.upload(clip=large)
    stage.start(stage.small_disks)

    def released() -> tuple[str, int, int] | None:
        """The claim counts as a crash until the release is written, which is after the log speaks of it."""
        found = stage.status(video_id)
        return found if found[0] == "uploaded" and found[1] > 0 else None

    found = until(released, what="a worker has claimed it and given it back")
    clients.history.fault()
    stage.stop(stage.small_disks)
    stage.start(stage.workers)
    verdict = stage.end("the scratch disk is full", clients, orphans=False)
    if found and (crashes := found[2]):
        verdict.problems.append(f"a full disk counts as {crashes} crashes of the video")


def ffmpeg_misbehaves(stage: Stage) -> None:
    """ffmpeg is killed, hangs, and hangs without listening to SIGTERM: once each, and then always."""
    for order, often in (("killed", 1), ("hanging", 1), ("deaf", 1), ("deaf", 3)):
        clients = stage.begin(workers=0)
        stage.world.ffmpeg(order, once=often == 1)
        clients.upload(wanted="processed" if often == 1 else "failed")
        stage.start(stage.workers)
        clients.history.fault()
        words = {"killed": "is killed", "hanging": "hangs", "deaf": "hangs and ignores SIGTERM"}[order]
        stage.end(f"ffmpeg {words}{'' if often == 1 else ', always'}", clients, orphans=False)
