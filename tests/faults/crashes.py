"""A process dies at a named step, once and twice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults import steps
from tests.faults.clients import Clients
from tests.faults.oracle import RECOVERY_SECONDS
from tests.faults.stage import Stage
from tests.faults.world import Order
from tests.waiting import until


@dataclass(frozen=True)
class Step:
    """Where a process dies, and in which of its crossings for one video."""

    name: str
    side: str
    skip: int = 0


def both(*names: str, skip: int = 0) -> list[Step]:
    """Both sides of each."""
    return [Step(name, side, skip) for name in names for side in steps.SIDES]


WORKER = [
    Step("jobs.receive", "after"),
    *both("commit.claim", "storage.download"),
    *(Step("process", side) for side in steps.PROCESS_SIDES),
    *both("storage.put"),
    *both("storage.put", skip=1),  # the thumbnail
    *both("commit.finish", "jobs.delete"),
]
HEARTBEAT = both("commit.extend_lease", "jobs.change_visibility")
GIVING_UP = both("commit.give_up")
RELEASING = both("commit.release")
DISCARDING = both("storage.delete")
UPLOADING = both("commit.reserve", "storage.put", "commit.mark_uploaded", "jobs.send", "commit.mark_enqueued")
DIRECTLY = both("storage.upload_form", "storage.open", "storage.copy", "storage.remove")
REFUSING = both("commit.refuse")
DELETING = both("commit.delete_own", "storage.delete")
VOTING = both("commit.cast_vote")
REVIEWING = both("commit.void", "commit.restore", "commit.release")
PERIODIC_TASKS = [*both("jobs.backlog", "jobs.send", "commit.relay", "commit.tally")]
POLLING = [Step("jobs.receive", "before")]

EVERY = [
    *(WORKER + HEARTBEAT + GIVING_UP + RELEASING + DISCARDING),
    *(UPLOADING + DIRECTLY + REFUSING + DELETING + VOTING + REVIEWING + PERIODIC_TASKS + POLLING),
]
ESSENTIAL = [
    Step("commit.claim", "after"),
    Step("process", "during"),
    Step("commit.finish", "before"),
    Step("commit.finish", "after"),
]


def _order(stage: Stage, step: Step, times: int, **where: Any) -> Order:
    return stage.world.order(step.name, step.side, skip=step.skip, times=times, **where)


def workers_die(stage: Stage, times: int, chosen: list[Step] = WORKER) -> None:
    """Each step kills the worker that works on one video, all of them in one run."""
    clients = stage.begin(workers=0)
    orders = [_order(stage, step, times, role="worker", video=clients.upload()) for step in chosen]
    stage.start(stage.workers)
    crashes = _await_crashes(stage, clients, orders)
    stage.end(f"a worker dies at each step of its work, {often(times)}", clients, runs=crashes)


def _await_crashes(stage: Stage, clients: Clients, orders: list[Order]) -> int:
    """Wait until every order has been obeyed and everything has ended; return how many crashes that took.

    Some steps are not crossed a second time: once the outcome is committed, nobody works on the video again.
    """

    def over() -> bool:
        obeyed = {f"worker.{crash['step']}.{crash['side']}.{crash['video']}" for crash in stage.world.obeyed()}
        wanted = {order.path.name for order in orders}
        return wanted <= obeyed and not stage.unfinished(clients) and not sum(stage.world.messages())

    until(over, seconds=600, what="every crash has happened and everything has ended")
    for order in orders:
        order.path.unlink(missing_ok=True)
    clients.history.fault()
    return len(stage.world.obeyed())


def workers_die_at_other_ends(stage: Stage, times: int) -> None:
    """The heartbeat, and the three ends that are no success."""
    clients = stage.begin(workers=0)
    stage.world.ffmpeg("slow6")  # two heartbeats long
    orders = [_order(stage, step, times, role="worker", video=clients.upload()) for step in HEARTBEAT]
    stage.start(stage.workers)
    crashes = _await_crashes(stage, clients, orders)
    stage.world.ffmpeg(None)
    for step in GIVING_UP:
        stage.stop(stage.workers)
        video_id = clients.upload(clip=stage.bad_clip, wanted="failed")
        orders.append(_order(stage, step, times if step.side == "before" else 1, role="worker", video=video_id))
        stage.start(stage.workers)
    crashes = _await_crashes(stage, clients, orders)
    for step in RELEASING:
        stage.stop(stage.workers)
        stage.world.ffmpeg("killed", once=True)
        orders.append(_order(stage, step, 1, role="worker", video=clients.upload()))
        stage.start(stage.workers)
        crashes = _await_crashes(stage, clients, orders)
    for step in DISCARDING:
        stage.stop(stage.workers)
        video_id, gate = clients.upload(), f"gate-{step.side}"
        held = stage.world.order("process", video=video_id, role="worker", action="hold", gate=gate)
        orders.append(_order(stage, step, 1, role="worker", video=video_id))
        stage.start(stage.workers)
        stage.await_orders([held])
        clients.delete(video_id)
        stage.world.open_gate(gate)
    stage.await_orders(orders, seconds=120)
    clients.history.fault()
    crashes += len(DISCARDING)
    stage.end(
        f"a worker dies at a heartbeat, giving up, releasing, discarding, {often(times)}", clients, runs=crashes
    )


def web_dies(
    stage: Stage, times: int, chosen: Sequence[Step] = (*UPLOADING, *DIRECTLY, *REFUSING, *DELETING, *VOTING)
) -> None:
    """Each step of upload, delete and vote kills the process that serves it; the client tries again."""
    clients = stage.begin(workers=0)
    crashes = 0
    for step in chosen:
        # What is to be deleted or voted on is there before the fault
        victim = clients.upload() if step in DELETING else ""
        voter, published = (clients.join(), stage.publish(clients, 1)) if step in VOTING else (None, [""])
        before = len(stage.world.obeyed())
        order = _order(stage, step, times, role="web")
        if step in UPLOADING:
            clients.upload()
        elif step in DIRECTLY:
            clients.upload_directly()
        elif step in REFUSING:
            clients.upload_in_vain(stage.small_clip)
        elif step in DELETING:
            clients.delete(victim)
        else:
            assert voter is not None
            clients.vote(published[0], voter)
        until(lambda count=before: len(stage.world.obeyed()) > count, seconds=20, what=f"{step} was crossed")  # type: ignore[misc]
        # A second try does not pass again where the first has got behind
        order.path.unlink(missing_ok=True)
        crashes += len(stage.world.obeyed()) - before
    clients.history.fault()
    stage.start(stage.workers)
    stage.end(f"a web process dies at each step of upload, delete and vote, {often(times)}", clients, runs=crashes)


def reviews_die(stage: Stage, chosen: Sequence[Step] = REVIEWING) -> None:
    """An operator's decisions about votes die at each of their steps and are given again, while votes come in."""
    clients = stage.begin(workers=0)
    (video_id,) = stage.publish(clients, 1)
    voters = [clients.join() for _ in range(12)]
    held = [voter.id for voter in voters[:4]]
    stage.world.rows("UPDATE anb.users SET votes_are_held = 1 WHERE id IN (%s, %s, %s, %s)", *held)
    for voter in voters:
        clients.vote(video_id, voter)
    suspicious = json.loads(stage.world.ops("votes", "suspicious", "--json", check=False))
    (cluster,) = (found["name"] for found in suspicious if found["video_id"] == video_id)
    orders = []
    with clients.meanwhile(5 * len(chosen), lambda: clients.vote(video_id, clients.join()), threads=1):
        for step in chosen:
            orders.append(_order(stage, step, 1, role="ops"))
            _decide(stage, orders[-1], "void", cluster, "--note", "an accident")
            for voiding in json.loads(stage.world.ops("votes", "voidings", "--json")):
                if voiding["votes"]:
                    _decide(stage, orders[-1], "restore", str(voiding["id"]))
            _decide(stage, orders[-1], "release", cluster)
    clients.history.fault()
    verdict = stage.end(
        "decisions about votes die at each of their steps, while votes come in", clients, runs=len(orders)
    )
    ((counted, cast),) = stage.world.rows(
        "SELECT votes, (SELECT COUNT(*) FROM anb.votes WHERE video_id = id) FROM anb.videos WHERE id = %s",
        video_id.replace("-", ""),
    )
    if counted != cast:
        verdict.problems.append(f"everything was restored and released, and {counted} of {cast} votes count")
    if untaken := [order.path.name for order in orders if not order.is_taken()]:
        verdict.problems.append(f"nobody died at {untaken}")


def _decide(stage: Stage, order: Order, *decision: str) -> None:
    """Give the decision, and again when a process has died of it, or of another."""
    stage.world.ops("votes", *decision, check=False)
    if order.is_taken():
        stage.world.ops("votes", *decision)


def periodic_tasks_die(stage: Stage, times: int) -> None:
    """The relay and the tally die at each of their steps, wherever they run; so does a poll."""
    clients = stage.begin(workers=0)
    for _ in range(3):
        clients.upload()
    (video_id,) = stage.publish(clients, 1)
    orders = [_order(stage, step, times) for step in PERIODIC_TASKS]
    stage.world.sqs.purge_queue(QueueUrl=stage.world.queue_url())
    voters = [clients.join() for _ in range(2)]
    for voter in voters:
        clients.vote(video_id, voter)
    orders += [_order(stage, step, times, role="worker") for step in POLLING]
    stage.start(stage.workers)

    def vote_on() -> bool:
        """A tally crosses its commit only while there is something to count."""
        clients.vote(video_id, clients.join())
        return {(crash["step"], crash["side"]) for crash in stage.world.obeyed()} >= {
            (step.name, step.side) for step in PERIODIC_TASKS + POLLING
        }

    until(vote_on, seconds=200, what=f"a death at each of {PERIODIC_TASKS + POLLING}")
    # What was sent a moment before a death is on the queue, and so not sent a second time
    for order in orders:
        order.path.unlink(missing_ok=True)
    clients.history.fault()
    deaths = len(stage.world.obeyed())
    stage.end(f"relay, tally and poll die at each of their steps, {often(times)}", clients, runs=deaths)


def poison(stage: Stage) -> None:
    """A video that kills every worker fails after three crashes, and the rest of the queue moves on meanwhile."""
    clients = stage.begin(workers=0)
    poisonous = clients.upload(wanted="failed")
    order = stage.world.order("process", "during", video=poisonous, role="worker", times=100)
    others = [clients.upload() for _ in range(3)]
    stage.start(stage.workers)
    clients.history.fault()
    for other in others:
        stage.await_status(other, "processed")
    stage.await_status(poisonous, "failed", seconds=4 * stage.world.lease_seconds + RECOVERY_SECONDS)
    clients.history.fault()  # what counts is the time since its last death
    kills = sum(obeyed["video"] == poisonous for obeyed in stage.world.obeyed())
    order.path.unlink(missing_ok=True)
    verdict = stage.end("a video that kills every worker fails after three crashes", clients)
    if kills != 3:
        verdict.problems.append(f"it killed {kills} workers and not 3")


def message_outlives_outcome(stage: Stage) -> None:
    """Until the outcome is committed, the message stays on the queue."""
    clients = stage.begin(workers=0)
    order = stage.world.order("commit.finish", "before", video=clients.upload(), role="worker")
    stage.start(stage.workers[:1])
    stage.await_orders([order])
    clients.history.fault()
    waiting = sum(stage.world.messages())
    verdict = stage.end("the message is there until the outcome is committed", clients)
    if waiting != 1:
        verdict.problems.append(f"before the outcome was committed, {waiting} messages were on the queue, not 1")


def often(times: int) -> str:
    """How often each step kills."""
    return {1: "once", 2: "twice"}[times]
