"""Processes are killed, stopped and frozen; messages, votes and deletions come at the wrong moment."""

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from local.emulator import DEAD_LETTERS
from tests.faults.oracle import dashed
from tests.faults.stage import Stage
from tests.waiting import until, within

UPLOADS = int(os.environ.get("FAULTS_UPLOADS", "200"))
STOPS_WITHIN_SECONDS = 25
VISIBLE_WITHIN_SECONDS = 3
EITHER = "processed or failed"  # three kills of the same video make it poison


def random_kills(stage: Stage) -> None:
    """A worker is killed every few seconds and the whole web tier now and then, while players upload."""
    clients = stage.begin()
    chance = random.Random(5)  # noqa: S311 no secret
    kills = 0
    with clients.meanwhile(UPLOADS, lambda: clients.upload(wanted=EITHER), threads=6) as load:
        while not load.is_over() or (stage.unfinished(clients) and kills < UPLOADS // 5):
            time.sleep(chance.uniform(2, 5))  # the kills' pace
            victim = "web" if kills % 6 == 5 else chance.choice(stage.workers)
            if stage.world.is_alive(victim):
                os.killpg(stage.world.pid(victim), signal.SIGKILL)
                kills += 1
    clients.history.fault()
    stage.end(
        f"SIGKILL at random under {UPLOADS} uploads",
        clients,
        runs=kills,
        patience_seconds=900,
        limit_seconds=900,
        answers_cut=True,
    )


def stopped(stage: Stage) -> None:
    """SIGTERM while polling, downloading, encoding and uploading: the job is finished or handed back at once."""
    clients = stage.begin(workers=1)
    worker, problems = stage.workers[0], []
    for moment in ("poll", "download", "encode", "upload"):
        gate, video_id = f"gate-{moment}", ""
        if moment != "poll":
            step = {"download": "storage.download", "encode": "process", "upload": "storage.put"}[moment]
            if moment == "encode":
                stage.world.ffmpeg("slow20")
            held = stage.world.order(step, "before", role="worker", action="hold", gate=gate)
            video_id = clients.upload()
            stage.await_orders([held])
        if moment == "encode":
            stage.world.open_gate(gate)
            until(stage.world.stray_encoders, what="it encodes")
        clients.history.fault()
        asked = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(stage.world.stop, worker)
            if moment == "poll":
                video_id = clients.upload()
            stage.world.open_gate(gate)
            stopped.result()
        took = time.monotonic() - asked
        stage.world.ffmpeg(None)
        if took > STOPS_WITHIN_SECONDS:
            problems.append(f"SIGTERM during {moment}: it took {took:.1f} s to stop")
        with suppress(AssertionError):
            until(lambda: stage.world.messages()[1] == 0, seconds=VISIBLE_WITHIN_SECONDS)
        status, _, crashes = stage.status(video_id)
        hidden = stage.world.messages()[1]
        if hidden:
            problems.append(f"SIGTERM during {moment}: the message of a video that is {status} is still invisible")
        if status not in {"processed", "uploaded"} or (status == "uploaded" and crashes):
            problems.append(f"SIGTERM during {moment}: the video is {status} with {crashes} crashes")
        stage.world.start(worker)
        stage.await_status(video_id, "processed")
    verdict = stage.end("SIGTERM in poll, download, encode and upload", clients, runs=4, orphans=False)
    verdict.problems += problems


def noticed_while_busy(stage: Stage) -> None:
    """The group ends an instance with busy workers: they finish, take nothing more and complete the action once."""
    clients = stage.begin(workers=2)
    stage.world.ffmpeg("slow20")
    busy = [clients.upload() for _ in range(2)]
    for video_id in busy:
        stage.await_status(video_id, "processing")
    waiting = clients.upload()
    stage.world.cloud.state = "Terminated"
    clients.history.fault()
    until(lambda: stage.world.cloud.asked("CompleteLifecycleAction"), seconds=90, what="the instance may end")
    problems = []
    for video_id in busy:
        status, attempt, _ = stage.status(video_id)
        if (status, attempt) != ("processed", 1):
            problems.append(f"{video_id} is {status} after {attempt} attempts when the instance may end")
    if not stage.world.cloud.asked("RecordLifecycleActionHeartbeat"):
        problems.append("nobody asked for more time")
    problems += _replaced(stage, waiting)
    verdict = stage.end("termination notice while busy", clients, orphans=False)
    verdict.problems += problems


def noticed_while_idle(stage: Stage) -> None:
    """The group ends an instance with idle workers: they complete the action at once and take nothing more."""
    clients = stage.begin(workers=2)
    stage.world.cloud.state = "Terminated"
    until(lambda: stage.world.cloud.asked("CompleteLifecycleAction"), seconds=30, what="the instance may end")
    waiting = clients.upload()
    clients.history.fault()
    problems = _replaced(stage, waiting)
    verdict = stage.end("termination notice while idle", clients, orphans=False)
    verdict.problems += problems


def _replaced(stage: Stage, waiting: str) -> list[str]:
    """End an instance whose workers have completed the action and start another; what is wrong about the first."""
    wrong = []
    within(VISIBLE_WITHIN_SECONDS, lambda: stage.world.messages() == (1, 0))
    if (found := stage.world.messages()) != (1, 0):
        wrong.append(f"an instance in termination leaves {found[0]} messages, {found[1]} invisible")
    if dead := [name for name in stage.workers[:2] if not stage.world.is_alive(name)]:
        wrong.append(f"{dead} ended before the instance")
    if (taken := stage.status(waiting)) != ("uploaded", 0, 0):
        wrong.append(f"a worker in termination took {waiting}: {taken}")
    if (times := len(stage.world.cloud.asked("CompleteLifecycleAction"))) != 1:
        wrong.append(f"the action was completed {times} times")
    stage.stop(stage.workers[:2])
    stage.world.ffmpeg(None)
    stage.world.cloud.state = "InService"
    stage.start(stage.workers[:2])
    return wrong


def frozen(stage: Stage) -> None:
    """A worker freezes before it writes the outcome, is overtaken, and wakes up: it changes nothing and cleans up."""
    clients = stage.begin(workers=2)
    video_id = clients.upload()
    asleep = stage.world.order("storage.put", "after", video=video_id, role="worker", action="freeze", skip=1)
    stage.await_orders([asleep])
    clients.history.fault()
    sleeper = stage.who_took(asleep)
    held = stage.world.order("process", "before", video=video_id, role="worker", action="hold", gate="overtaken")
    try:
        stage.await_orders([held], seconds=2 * stage.world.lease_seconds + 60)
        before = stage.status(video_id)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    own = f"processed/{video_id}/1.mp4"
    until(lambda: not stage.stored(own) or stage.status(video_id) != before, what="it notices")
    after = stage.status(video_id)
    stage.world.open_gate("overtaken")
    verdict = stage.end("SIGSTOP for longer than the lease", clients, orphans=False)
    if after != before:
        verdict.problems.append(f"the sleeper turned {before} into {after}")


def frozen_in_a_transaction(stage: Stage) -> None:
    """A worker freezes for good between its last statement and the commit, with the row locked."""
    clients = stage.begin(workers=2)
    video_id = clients.upload()
    asleep = stage.world.order("commit.finish", "before", video=video_id, role="worker", action="freeze")
    stage.await_orders([asleep])
    clients.history.fault()
    try:
        stage.end("a worker freezes for good with the row locked", clients)
    finally:
        os.kill(stage.who_took(asleep), signal.SIGKILL)


def long_job(stage: Stage) -> None:
    """A job that takes longer than a lease keeps it: nobody else begins the same work."""
    clients = stage.begin(workers=2)
    stage.world.ffmpeg(f"slow{round(1.8 * stage.world.lease_seconds)}", once=True)
    video_id = clients.upload()
    clients.history.fault()
    verdict = stage.end("a job longer than its lease", clients, orphans=False)
    if (attempt := stage.status(video_id)[1]) != 1:
        verdict.problems.append(f"it took {attempt} attempts")


def duplicates(stage: Stage) -> None:
    """Every message arrives one to five times, in any order."""
    clients = stage.begin(workers=0)
    uploaded = [clients.upload() for _ in range(12)]
    chance = random.Random(7)  # noqa: S311 no secret
    bodies = []
    for video_id in uploaded:
        bodies += [json.dumps({"video_id": video_id, "request_id": "again"})] * chance.randint(0, 4)
    chance.shuffle(bodies)
    for body in bodies:
        stage.world.sqs.send_message(QueueUrl=stage.world.queue_url(), MessageBody=body)
    clients.history.fault()
    stage.start(stage.workers)
    verdict = stage.end(
        "every message arrives 1 to 5 times, shuffled", clients, runs=len(bodies) + len(uploaded), orphans=False
    )
    if again := [video_id for video_id in uploaded if stage.status(video_id)[1] != 1]:
        verdict.problems.append(f"{len(again)} videos were worked on more than once")


def unreadable(stage: Stage) -> None:
    """A message that says nothing becomes a dead letter, body intact."""
    clients = stage.begin()
    stage.world.sqs.send_message(QueueUrl=stage.world.queue_url(), MessageBody="not json")
    clients.upload()
    until(lambda: stage.world.dead_letters() == 1, seconds=60, what="it is a dead letter")
    found = stage.world.sqs.receive_message(QueueUrl=stage.world.queue_url(DEAD_LETTERS), VisibilityTimeout=0)
    verdict = stage.end("an unreadable message", clients, dead_letters=1, orphans=False)
    if [message["Body"] for message in found.get("Messages", [])] != ["not json"]:
        verdict.problems.append(f"the dead letter is {found.get('Messages')}")


def deleted(stage: Stage) -> None:
    """A video is deleted while it waits, downloads, encodes and uploads, and after it was published."""
    clients = stage.begin(workers=0)
    clients.delete(clients.upload())
    stage.start(stage.workers)
    for step in ("storage.download", "process", "storage.put"):
        gate = f"gate-{step}"
        if step == "process":
            stage.world.ffmpeg("slow20")
        held = stage.world.order(step, "before", role="worker", action="hold", gate=gate)
        video_id = clients.upload()
        stage.await_orders([held])
        if step == "process":
            stage.world.open_gate(gate)
            until(stage.world.stray_encoders, what="it encodes")
        clients.delete(video_id)
        stage.world.open_gate(gate)
        stage.world.ffmpeg(None)
    stage.stop(stage.workers)
    video_id = clients.upload()
    published = stage.world.order(
        "commit.finish", "after", video=video_id, role="worker", action="hold", gate="gate-published"
    )
    stage.start(stage.workers)
    stage.await_orders([published])
    status = clients.delete(video_id)
    stage.world.open_gate("gate-published")
    clients.history.fault()
    until(lambda: not stage.world.stray_encoders(), seconds=60, what="no encoder is left")
    verdict = stage.end("delete at five moments", clients, runs=5, orphans=False)
    if status != 400:
        verdict.problems.append(f"deleting a published video answered {status}")


def everything_dies(stage: Stage, uploads: int = 10) -> None:
    """Every process is killed at once, and the queue is empty when they are back."""
    clients = stage.begin()
    with clients.meanwhile(uploads, clients.upload, threads=3):
        pass
    stage.world.kill_everything()
    clients.history.fault()
    until(lambda: not stage.world.is_alive("emulator"), seconds=10)
    until(lambda: all(stage.world.is_alive(n) for n in ("database", "emulator", "web", "nginx")), seconds=90)
    # What the workers held was lost with the queue; the relay finds it when its lease is over
    stage.end("everything is killed and starts again with an empty queue", clients, answers_cut=True)


def killed_encoding(stage: Stage) -> None:
    """A worker is killed while it encodes."""
    clients = stage.begin(workers=2)
    stage.world.ffmpeg("slow30", once=True)
    video_id = clients.upload()
    until(stage.world.ffmpeg_has_begun, what="it encodes")
    ((owner,),) = stage.world.rows("SELECT lease_owner FROM anb.videos WHERE id = %s", video_id.replace("-", ""))
    os.kill(int(owner.rsplit(":", 1)[1]), signal.SIGKILL)
    clients.history.fault()
    stage.end("a worker is killed while it encodes", clients)


def racing_votes(stage: Stage, voters: int = 20, videos: int = 45) -> None:
    """1,000 votes race for a few videos while processes die; one voter votes for the same video 100 times."""
    clients = stage.begin(workers=1)
    people = [clients.join() for _ in range(voters)]
    published = stage.publish(clients, videos)
    chance = random.Random(9)  # noqa: S311 no secret
    ballots = [(video_id, person) for video_id in published for person in people]
    ballots += [(published[0], people[0])] * (len(ballots) // 9)
    chance.shuffle(ballots)
    statuses = []
    todo = iter(ballots)
    crash = [
        stage.world.order("commit.cast_vote", side, role="web", skip=len(ballots) // 5)
        for side in ("before", "after")
    ]
    crash += [stage.world.order("commit.tally", side, skip=3) for side in ("before", "after")]

    def vote() -> None:
        video_id, voter = next(todo)
        statuses.append((video_id, voter.id, clients.vote(video_id, voter)))

    with clients.meanwhile(len(ballots), vote, threads=16):
        pass
    clients.history.fault()
    verdict = stage.end(
        f"{len(ballots):,} racing votes while processes die", clients, runs=len(ballots), answers_cut=True
    )
    verdict.accepted, verdict.processed = len(clients.history.votes), len(clients.history.votes)
    twice = [s for s in statuses if s[:2] == (published[0], people[0].id) and s[2] == 200]
    if len(twice) > 1:
        verdict.problems.append(f"the same vote was accepted {len(twice)} times")
    if untaken := [order.path.name for order in crash if not order.is_taken()]:
        verdict.problems.append(f"nobody died at {untaken}")


def cleaned(stage: Stage) -> None:
    """Whatever all that has happened so far has left behind, the janitor removes, and nothing else."""
    clients = stage.begin()
    clients.upload()
    stage.await_status(next(iter(clients.history.accepted)), "processed")
    rows = stage.world.rows(
        "SELECT id, status, attempt, source FROM anb.videos WHERE request_id <> 'seeded' AND status <> 'deleted'"
    )
    kept = set()
    for bare, status, attempt, source in rows:
        video_id = dashed(bare)
        kept.add(f"uploads/{video_id}/{source}/source.mp4")
        if status == "awaiting_upload":
            kept.add(f"incoming/{video_id}/source.mp4")
        if status == "processed":
            kept |= {f"processed/{video_id}/{attempt}.mp4", f"thumbnails/{video_id}/{attempt}.jpg"}
    before = stage.world.keys()
    stage.world.ops("janitor", "--delete", "--force")
    after = stage.world.keys()
    verdict = stage.end("the janitor, after all of the above", clients, runs=len(before - after), orphans=False)
    if after != before & kept:
        verdict.problems.append(f"left: {sorted(after - kept)}; removed too much: {sorted(before & kept - after)}")
