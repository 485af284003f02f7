"""What can be watched: stories that are played on the twin, and what each promises.

A promise that does not hold says why, as far as can be told. Seconds are the twin's.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ops.account.lab import told
from twin.groups import Does
from twin.stage import Stage

_BURST, _BURST_SECONDS, _SHARE = 40, 600, 0.95  # so many videos, of which such a share is processed within that
_REAL_BURST = 12  # too few for another instance, since this machine has no processors for one
_BACK_SECONDS = 30 * 60  # within which a fleet is back at its least
_ZONE_VIDEOS = 20
_CUT_VIDEOS = 30  # so many that a queue at which nobody works asks for another worker
_CUT_SECONDS = 300  # long enough that every health check has had its say
_RECOVERY_SECONDS = 30
_SESSION_VIDEOS = 12  # at a session's end: more than are in hand, too few for another worker
_INTO_PAUSE_SECONDS = 15  # a web server is still draining then, and a worker at its job
_STEP_SECONDS = 15


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story's name, what it tells in a sentence, and how it goes.

    One that `encodes` replays no encodings, and is therefore played at true speed, when it is asked for by name.
    """

    name: str
    sentence: str
    play: Callable[[Stage], None]
    encodes: bool = False


def _burst(stage: Stage) -> None:
    stage.begin()
    _grow_by_burst(stage)
    _await_processed(stage, _BURST, seconds=2 * _BURST_SECONDS)
    _in_time(stage)
    _await_least(stage)
    _lost_nothing(stage, _BURST)


def _real_burst(stage: Stage) -> None:
    stage.begin()
    stage.note(f"{_REAL_BURST} videos at once")
    _upload(stage, _REAL_BURST)
    _await_processed(stage, _REAL_BURST, seconds=2 * _BURST_SECONDS)
    _in_time(stage)
    _lost_nothing(stage, _REAL_BURST)


def _in_time(stage: Stage) -> None:
    took = sorted(stage.world.processed_after_seconds())
    slowest = took[math.ceil(_SHARE * len(took)) - 1] if took else math.inf
    stage.promise(
        f"{_SHARE:.0%} are processed within {_BURST_SECONDS} s",
        slowest <= _BURST_SECONDS,
        why_not=f"it took {slowest:.0f} s: the fleet grew too late, or to too few",
    )


def _light_load(stage: Stage) -> None:
    stage.begin()
    _grow_by_burst(stage)
    stage.note("one video a minute from now on")
    minutes = 0
    while minutes < _BACK_SECONDS / 60 and not _is_least(stage):
        stage.rest(60)
        minutes += 1
        _upload(stage, 1)
    stage.promise(
        "the fleet shrinks to its least under 60 videos an hour",
        _is_least(stage),
        why_not=f"after {minutes} min it still has {stage.world.workers.group.desired} instances: its policies need "
        "a queue that is empty for longer than such a load leaves it",
    )
    _await_processed(stage, _BURST + minutes, seconds=_BURST_SECONDS)
    _lost_nothing(stage, _BURST + minutes)


def _readers(stage: Stage) -> None:
    web = stage.world.web
    stage.begin()
    for per_second in (20, 40, 60):
        stage.note(f"{per_second} requests a second")
        stage.readers.per_second = per_second
        stage.rest(120)
    grew = stage.until(lambda: web.balancer and len(web.balancer.healthy()) == web.fleet.size.most, seconds=900)
    stage.promise(
        f"{web.fleet.size.most} servers share the requests",
        grew,
        why_not=f"the group wants {web.group.desired}: no policy of the template answered so many requests",
    )
    stage.note("10 requests a second")
    stage.readers.per_second = 10
    back = stage.until(
        lambda: len(web.group.instances) == web.fleet.size.least == web.group.desired, seconds=_BACK_SECONDS + 300
    )
    stage.promise(
        f"the fleet is back at {web.fleet.size.least}",
        back,
        why_not=f"it still has {len(web.group.instances)} after {_BACK_SECONDS / 60:.0f} min of few requests",
    )
    failed = stage.errors()
    stage.promise(
        "no reader gets an error, also while an instance drains",
        not failed,
        why_not=f"{len(failed)} answers failed, from {min(failed, default=0):.0f} to {max(failed, default=0):.0f} s",
    )


def _zone_dies(stage: Stage) -> None:
    stage.begin()
    zone = _busy_zone(stage, videos=_ZONE_VIDEOS)
    if zone is None:
        return
    stage.note(f"{zone} dies with all that is in it")
    began = stage.world.loop.now()
    stage.world.open_zones(zone, is_open=False)
    stage.world.lose(zone)
    _replaced_elsewhere(stage, zone)
    stage.note(f"{zone} is there again")
    stage.world.open_zones(zone, is_open=True)
    _await_processed(stage, _ZONE_VIDEOS, seconds=_BURST_SECONDS)
    _errors_end(stage, began)
    _keeps_accepted(stage)


def _zone_is_cut(stage: Stage) -> None:
    """A server that its balancer cannot reach is replaced when its grace period is over."""
    stage.begin()
    stage.rest(max(it.fleet.grace_seconds for it in (stage.world.web, stage.world.workers)))
    zone = _busy_zone(stage, videos=_CUT_VIDEOS)
    if zone is None:
        return
    stage.note(f"the network of {zone} is cut, and its machines live")
    began = stage.world.loop.now()
    stage.world.open_zones(zone, is_open=False)
    stage.world.parts.zones[zone].cut()
    _replaced_elsewhere(stage, zone)
    stage.note(f"{zone} is connected again")
    stage.world.parts.zones[zone].heal()
    stage.world.open_zones(zone, is_open=True)
    _await_processed(stage, _CUT_VIDEOS, seconds=_BURST_SECONDS)
    _errors_end(stage, began)
    _keeps_accepted(stage)


def _database_is_destroyed(stage: Stage) -> None:
    begun = _upload_before(stage, 6)
    stage.readers.per_second = 5
    healthy, there = _healthy(stage), stage.world.instances()
    stage.note("the database is gone")
    stage.run_database(False)
    stage.rest(_CUT_SECONDS)
    stage.promise(
        "every server stays healthy while there is no database",
        _healthy(stage) == healthy,
        why_not=f"of {', '.join(healthy)} only {', '.join(_healthy(stage))} is: what the balancer asks for needs the "
        "database, and after its grace period each server would be replaced",
    )
    stage.promise(
        "the fleet stays while there is no database",
        stage.world.instances() == there,
        why_not=f"it was {', '.join(there)} and became {', '.join(stage.world.instances())}",
    )
    stage.note("the database is back")
    stage.run_database(True)
    stage.rest(_RECOVERY_SECONDS)
    answered_from = stage.world.loop.now()
    _await_processed(stage, begun, seconds=_BURST_SECONDS)
    failed = stage.errors(since=answered_from)
    stage.promise(
        f"readers are answered again {_RECOVERY_SECONDS} s after the database is back",
        not failed,
        why_not=f"{len(failed)} answers failed later than that",
    )
    _keeps_accepted(stage)


def _lab_session(stage: Stage) -> None:
    begun = _upload_before(stage, 6)
    stage.note("the lab session ends: every instance is stopped, and none can be started")
    before = stage.world.instances()
    zones = stage.world.web.fleet.zones
    stage.world.open_zones(*zones, is_open=False)
    for zone in zones:
        stage.world.lose(zone)
    stage.rest(_CUT_SECONDS)
    stage.note("a lab session begins")
    stage.world.open_zones(*zones, is_open=True)
    ready = stage.until(lambda: _are_ready(stage), seconds=_BURST_SECONDS)
    stage.promise(
        "the groups have replaced every instance",
        ready and not set(before) & set(stage.world.instances()),
        why_not=f"{', '.join(stage.world.instances())} are there, of which not all work",
    )
    _await_processed(stage, begun, seconds=_BURST_SECONDS)
    _keeps_accepted(stage)


def _paused_session(stage: Stage) -> None:
    begun = _work_before(stage)
    hour = _cost_of_an_hour(stage)
    stage.note("python -m ops pause")
    stage.operator().pause()
    stage.promise(
        "workers finish the videos in hand, and leave the others to the next session",
        stage.processed < begun,
        why_not="the pause has waited until there was nothing more to do",
    )
    _rests(stage, hour)
    launched = _launches(stage)
    _end_session(stage)
    _begin_session(stage, launched)
    _resume(stage)
    _await_processed(stage, begun, seconds=_BURST_SECONDS)
    _lost_nothing(stage, begun)


def _session_ends_in_pause(stage: Stage) -> None:
    begun = _work_before(stage)
    hour = _cost_of_an_hour(stage)
    stage.note("python -m ops pause")
    launched, there = _launches(stage), list[str]()

    def end() -> None:
        there.extend(stage.world.instances())
        _end_session(stage)

    stage.world.loop.call_later(_INTO_PAUSE_SECONDS, end)
    try:
        stage.operator().pause()
    except ClientError as refusal:
        stage.note(f"ops pause ends: {refusal}")
    stage.promise(
        "the session ends in the middle of the pause",
        there and not stage.session.is_open,
        why_not=f"the pause was over within {_INTO_PAUSE_SECONDS} s",
    )
    _begin_session(stage, launched)
    stage.note("python -m ops pause, once more")
    stage.operator().pause()
    _rests(stage, hour)
    _resume(stage)
    _await_processed(stage, begun, seconds=_BURST_SECONDS)
    _keeps_accepted(stage)


# ---- a lab's sessions


def _work_before(stage: Stage) -> int:
    """Have videos accepted, of which some are processed and more are not; return how many."""
    begun = _upload_before(stage, _SESSION_VIDEOS)
    stage.until(lambda: stage.processed >= 2, seconds=_BURST_SECONDS)
    return begun


def _cost_of_an_hour(stage: Stage) -> float:
    cost = stage.operator().report()["cost"]
    return float(cost["usd_an_hour"]) if cost else 0


def _rests(stage: Stage, hour: float) -> None:
    """Nothing runs any more, and what that costs is told; an `hour` cost so much before."""
    report = stage.operator().report()
    for line in told(report):
        stage.note(line)
    there, database = stage.world.instances(), report["database"]
    stage.promise(
        "nothing runs after a pause",
        not there and database == "stopped",
        why_not=f"{len(there)} instances are there, and the database is {database}",
    )
    at_rest = report["cost"]["usd_an_hour"] if report["cost"] else 0
    stage.promise(
        "it is told what still costs, which is less than before",
        0 < at_rest < hour,
        why_not=f"an hour costs {at_rest:.4f} USD, and cost {hour:.4f}",
    )


def _end_session(stage: Stage) -> None:
    stage.note("the lab session ends: every instance is stopped, and AWS answers nobody")
    stage.session.is_open = False
    for zone in stage.world.web.fleet.zones:
        stage.world.lose(zone)


def _begin_session(stage: Stage, launched: int) -> None:
    """Have a session begin some time later; what the groups have started since `launched` costs for nothing."""
    stage.rest(_CUT_SECONDS)
    stage.promise(
        "nothing is started between the sessions",
        _launches(stage) == launched,
        why_not=f"the groups have started {_launches(stage) - launched} instances that nobody uses",
    )
    stage.note("a lab session begins")
    stage.session.is_open = True


def _launches(stage: Stage) -> int:
    """Return how many instances have been started until now."""
    events = [*stage.world.web.record.events, *stage.world.workers.record.events]
    return sum(event.what == Does.LAUNCH for event in events)


def _resume(stage: Stage) -> None:
    stage.note("python -m ops resume")
    stage.operator().resume(None)
    stage.promise(
        "both fleets are back at their least",
        stage.until(lambda: _are_ready(stage), seconds=_BURST_SECONDS),
        why_not=f"{', '.join(stage.world.instances())} are there, of which not all work",
    )


# ---- what stories have in common


def _upload_before(stage: Stage, count: int) -> int:
    """Have videos accepted; return how many."""
    stage.begin()
    _upload(stage, count)
    stage.until(lambda: len(stage.players.accepted) == count, seconds=120)
    return count


def _healthy(stage: Stage) -> list[str]:
    balancer = stage.world.web.balancer
    return sorted(balancer.healthy()) if balancer else []


def _are_ready(stage: Stage, *, but: str = "") -> bool:
    """Whether both fleets have their least at work, not counting who is in the zone `but`."""
    web, workers = stage.world.web, stage.world.workers
    at_work = ((web, _healthy(stage)), (workers, stage.world.encoders.working()))
    return all(
        len([it for it in fleet.group.in_service() if it.id in names and it.zone != but]) >= fleet.fleet.size.least
        for fleet, names in at_work
    )


def _busy_zone(stage: Stage, *, videos: int) -> str | None:
    """Return a zone with a busy worker in it, while there are readers; without one the story ends."""
    stage.note(f"10 requests a second, and {videos} videos")
    stage.readers.per_second = 10
    _upload(stage, videos)
    is_busy = stage.until(lambda: stage.processed >= 2, seconds=_BURST_SECONDS)
    zones = {instance.zone for instance in stage.world.workers.group.in_service()}
    stage.promise("workers are at work", is_busy and zones, why_not=f"{stage.processed} videos were processed")
    return min(zones, default=None)


def _replaced_elsewhere(stage: Stage, zone: str) -> None:
    """Both fleets have their least in other zones, at work; what is cut off may still be there."""
    replaced = stage.until(lambda: _are_ready(stage, but=zone), seconds=_BURST_SECONDS)
    stage.promise(
        "what is lost is replaced in the other zone",
        replaced,
        why_not="the groups know no other zone"
        if len(stage.world.web.fleet.zones) == 1
        else f"after {_BURST_SECONDS} s {', '.join(stage.world.instances())} are there",
    )


def _errors_end(stage: Stage, began: float) -> None:
    """Readers may see errors until the balancer has taken out whoever does not answer."""
    targets = stage.world.web.fleet.targets
    failed = [at - began for at in stage.errors()]
    last = max(failed, default=0)
    if targets is None:
        return
    unhealthy = (targets.interval_seconds + targets.timeout_seconds) * targets.unhealthy_after
    allowed = unhealthy + stage.world.IDLE_SECONDS + _STEP_SECONDS
    stage.note(f"{len(failed)} answers failed, the last {last:.0f} s after")
    stage.promise(
        f"readers get errors for no longer than {allowed:.0f} s",
        last <= allowed,
        why_not=f"the last came {last:.0f} s after, of {len(failed)}",
    )


def _keeps_accepted(stage: Stage) -> None:
    """Whoever dies interrupts a job, which another worker begins anew."""
    accepted = len(stage.players.accepted)
    stage.promise(
        "nothing that was accepted is lost",
        stage.processed == accepted,
        why_not=f"{stage.processed} of {accepted} accepted videos are processed",
    )


def _upload(stage: Stage, count: int) -> None:
    for _ in range(count):
        stage.players.upload()


def _is_least(stage: Stage) -> bool:
    fleet = stage.world.workers
    return len(fleet.group.instances) == fleet.group.desired == fleet.fleet.size.least


def _grow_by_burst(stage: Stage) -> None:
    """Upload a burst, and go on when the fleet has its most."""
    fleet = stage.world.workers
    size = fleet.fleet.size
    stage.note(f"{_BURST} videos at once")
    _upload(stage, _BURST)
    is_there = stage.until(lambda: len(fleet.group.in_service()) == size.most, seconds=_BURST_SECONDS)
    stage.promise(
        f"the fleet grows from {size.least} to {size.most}",
        is_there and size.most > size.least,
        why_not="the template lets the group have no more"
        if is_there
        else f"it wants {fleet.group.desired} after {_BURST_SECONDS} s: the policies ask for no more, or too late",
    )


def _await_processed(stage: Stage, count: int, *, seconds: float) -> None:
    done = stage.until(lambda: stage.processed == count, seconds=seconds)
    stage.promise(
        "all videos are processed",
        done,
        why_not=f"{stage.processed} of {count} are after {seconds:.0f} s; "
        f"{len(stage.players.refused)} uploads were not accepted {stage.players.refused[:1]}",
    )


def _await_least(stage: Stage) -> None:
    fleet = stage.world.workers
    back = stage.until(lambda: _is_least(stage), seconds=_BACK_SECONDS)
    stage.promise(
        f"the fleet is back at {fleet.fleet.size.least}",
        back,
        why_not=f"{_BACK_SECONDS / 60:.0f} min after the last video it still has {len(fleet.group.instances)} "
        f"instances, and wants {fleet.group.desired}",
    )


def _lost_nothing(stage: Stage, count: int) -> None:
    accepted = len(stage.players.accepted)
    stage.promise(
        "nothing is lost",
        accepted == stage.processed == count,
        why_not=f"{accepted} of {count} uploads were accepted, and {stage.processed} videos are processed",
    )
    interrupted = stage.world.interrupted()
    stage.promise(
        "no busy worker is interrupted",
        not interrupted,
        why_not=f"{interrupted} videos were begun anew: {_why(stage)}",
    )


def _why(stage: Stage) -> str:
    fleet = stage.world.workers.fleet
    if fleet.hook is None:
        return "the template has no hook in which a worker could end its job"
    if not fleet.protects_busy:
        return "the template's role lets no worker protect its instance"
    return "a worker failed at them, or its instance was taken before it was done"


STORIES: Mapping[str, Story] = {
    story.name: story
    for story in (
        # The longest first, since two at a time are played
        Story(name="readers", sentence="More and more people look at the videos, and then few.", play=_readers),
        Story(name="light-load", sentence="After a burst come 60 videos an hour.", play=_light_load),
        Story(name="burst", sentence="40 videos come at once.", play=_burst),
        Story(name="zone-dies", sentence="All instances of a zone vanish at once.", play=_zone_dies),
        Story(name="zone-is-cut", sentence="A zone's network is cut, with its machines alive.", play=_zone_is_cut),
        Story(
            name="database-is-destroyed",
            sentence="The database is gone for a while.",
            play=_database_is_destroyed,
        ),
        Story(
            name="lab-session",
            sentence="A lab session ends, which stops every instance, and another one begins.",
            play=_lab_session,
        ),
        Story(
            name="paused-session",
            sentence="A lab session ends after ops pause, and the next begins with ops resume.",
            play=_paused_session,
        ),
        Story(
            name="session-ends-in-pause",
            sentence="A lab session ends in the middle of ops pause, which goes on in the next.",
            play=_session_ends_in_pause,
        ),
        Story(
            name="real-burst",
            sentence="A dozen videos come at once, and are encoded indeed.",
            play=_real_burst,
            encodes=True,
        ),
    )
}
