"""Show what waits, works and has failed.

These are videos by status, jobs and how long they wait, what each worker does, dead letters and expired leases. On
AWS it is also how many instances each fleet wants and has in which zone, the database's state, the alarms, and
what an hour costs and everything since the deployment.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from sqlalchemy import Connection, func, select, text

from anb import commands
from anb.models import Status, UncountedVote, Video, now
from ops.dependencies import Dependencies
from ops.queues import counts, dead_letters_url
from ops.table import age, table
from ops.table import text as text_of

MAX_BUSY = 100  # workers that are told of; no fleet has so many
_waits = Video.status.in_((Status.UPLOADED, Status.PROCESSING))
_BY_STATUS = select(Video.status, func.count().label("videos")).group_by(Video.status)
_OLDEST_SECONDS = select(func.timestampdiff(text("SECOND"), func.min(Video.uploaded_at), now())).where(_waits)
_EXPIRED = select(func.count()).where(Video.status == Status.PROCESSING, Video.lease_until < now())
_DUE = select(func.count()).where(_waits, Video.next_enqueue_at <= now())
_UNCOUNTED = select(func.count()).select_from(UncountedVote)
_BUSY = (
    select(Video.lease_owner, Video.id, Video.attempt)
    .where(Video.status == Status.PROCESSING, Video.lease_until >= now())
    .order_by(Video.lease_owner, Video.id)
    .limit(MAX_BUSY)
)


@click.command("status", help=__doc__)
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, as_json: bool) -> int:
    """Print what the database and the queues say."""
    report = _report(dependencies)
    if as_json:
        commands.print_json(report)
    else:
        tell(report)
    return commands.FAILED if report["dead_letters"] else commands.DONE


def tell(report: Mapping[str, Any]) -> None:
    """Print a report for people."""
    print(table(("what", "how many"), _lines(report)))
    for worker in report["workers"]:
        print(f"{text_of(worker['worker'])} works on video {worker['video_id']}, attempt {worker['attempt_number']}")
    if report["dead_letters"]:
        print("Look at the dead letters: python -m ops dlq show")


def _report(dependencies: Dependencies) -> dict[str, Any]:
    with dependencies.engine.begin() as connection:
        found = {"videos": _videos(connection), **_work(connection), "workers": _workers(connection)}
    return {
        **found,
        "messages": counts(dependencies, dependencies.queue_url),
        "dead_letters": sum(counts(dependencies, dead_letters_url(dependencies)).values()),
    }


def _lines(report: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield from ((f"videos {status}", number) for status, number in report["videos"].items())
    oldest = report["oldest_job_seconds"]
    yield "oldest job has waited", None if oldest is None else age(oldest)
    yield "leases expired", report["expired_leases"]
    yield "jobs due to be sent again", report["due_jobs"]
    yield "votes not counted yet", report["uncounted_votes"]
    yield from ((f"messages {state}", number) for state, number in report["messages"].items())
    yield "dead letters", report["dead_letters"]


def _videos(connection: Connection) -> dict[str, int]:
    found = {row.status: row.videos for row in connection.execute(_BY_STATUS)}
    return {status: found.get(status, 0) for status in Status}


def _work(connection: Connection) -> dict[str, int | None]:
    return {
        "oldest_job_seconds": connection.scalar(_OLDEST_SECONDS),
        "expired_leases": connection.scalar(_EXPIRED),
        "due_jobs": connection.scalar(_DUE),
        "uncounted_votes": connection.scalar(_UNCOUNTED),
    }


def _workers(connection: Connection) -> list[dict[str, Any]]:
    return [
        {"worker": row.lease_owner, "video_id": row.id, "attempt_number": row.attempt}
        for row in connection.execute(_BUSY)
    ]
