"""Every scenario, by the world that it is played in."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import accidents, crashes, outages, races
from tests.faults.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """Something that happens to the system, and its name on the command line."""

    name: str
    play: Callable[[Stage], None]


def _scenario(play: Callable[[Stage], None]) -> Scenario:
    return Scenario(play.__name__.replace("_", "-"), play)


# On a clock ten times as fast, with three workers and one whose disk is small
TENTH = [
    Scenario("workers-die-once", lambda stage: crashes.workers_die(stage, 1)),
    Scenario("other-ends-die-once", lambda stage: crashes.workers_die_at_other_ends(stage, 1)),
    Scenario("web-dies-once", lambda stage: crashes.web_dies(stage, 1)),
    Scenario("periodic-tasks-die-once", lambda stage: crashes.periodic_tasks_die(stage, 1)),
    Scenario("workers-die-twice", lambda stage: crashes.workers_die(stage, 2)),
    Scenario("other-ends-die-twice", lambda stage: crashes.workers_die_at_other_ends(stage, 2)),
    Scenario("web-dies-twice", lambda stage: crashes.web_dies(stage, 2)),
    Scenario("periodic-tasks-die-twice", lambda stage: crashes.periodic_tasks_die(stage, 2)),
    _scenario(crashes.reviews_die),
    _scenario(crashes.poison),
    _scenario(crashes.message_outlives_outcome),
    *(
        _scenario(play)
        for play in (
            accidents.stopped,
            accidents.noticed_while_busy,
            accidents.noticed_while_idle,
            accidents.frozen,
            accidents.frozen_in_a_transaction,
            accidents.long_job,
            accidents.duplicates,
            accidents.unreadable,
            accidents.deleted,
            accidents.everything_dies,
            accidents.racing_votes,
            outages.queue_refuses,
            outages.queue_hangs,
            outages.queue_goes_dark,
            outages.queue_purged,
            outages.queue_recreated,
            outages.send_unanswered,
            outages.database_killed,
            outages.database_hangs,
            outages.commits_unanswered,
            outages.store_fails,
            outages.bucket_missing,
            outages.store_is_slow,
            outages.store_truncates,
            outages.store_hangs,
            outages.disk_full,
            outages.ffmpeg_misbehaves,
            races.completed_twice,
            races.killed_between_copy_and_commit,
            races.posted_during_complete,
            races.posted_after_complete,
            accidents.random_kills,
            accidents.cleaned,
        )
    ),
]

# At the product's own constants, where the acceptance is a number of seconds
TRUE = [
    Scenario("true-killed-encoding", accidents.killed_encoding),
    Scenario("true-everything-dies", accidents.everything_dies),
    Scenario("true-queue-purged", outages.queue_purged),
    Scenario("true-frozen", accidents.frozen),
    Scenario("true-stopped", accidents.stopped),
    Scenario("true-queue-hangs", outages.queue_hangs),
    Scenario("true-queue-goes-dark", outages.queue_goes_dark),
    Scenario("true-database-killed", outages.database_killed),
    Scenario("true-poison", crashes.poison),
]
