"""Show how the system is: videos by status, what waits and for how long, dead letters, expired leases."""

import argparse
from collections.abc import Iterator

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from anb.models import Status, UncountedVote, Video, now
from ops.dependencies import Dependencies
from ops.queues import counts, dead_letters_url
from ops.table import age, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: nothing."""


def run(_: argparse.Namespace, dependencies: Dependencies) -> int:
    """Print what the database and the queues say."""
    with dependencies.sessions() as session:
        lines = [*_of_videos(session), *_of_work(session)]
    queue = counts(dependencies, dependencies.queue_url)
    lines += [(f"messages {state}", number) for state, number in queue.items()]
    dead = sum(counts(dependencies, dead_letters_url(dependencies)).values())
    lines.append(("dead letters", dead))
    print(table(("what", "how many"), lines))
    if dead:
        print("Look at the dead letters: python -m ops dlq show")
    return 3 if dead else 0


def _of_videos(session: Session) -> Iterator[tuple[str, object]]:
    by_status = select(Video.status, func.count().label("videos")).group_by(Video.status)
    found = {row.status: row.videos for row in session.execute(by_status)}
    yield from ((f"videos {status}", found.get(status, 0)) for status in Status)


def _of_work(session: Session) -> Iterator[tuple[str, object]]:
    waits = Video.status.in_((Status.UPLOADED, Status.PROCESSING))
    since = func.timestampdiff(text("SECOND"), func.min(Video.uploaded_at), now())
    oldest = session.scalar(select(since).where(waits))
    yield "oldest job has waited", None if oldest is None else age(oldest)
    expired = select(func.count()).where(Video.status == Status.PROCESSING, Video.lease_until < now())
    yield "leases expired", session.scalar(expired)
    due = select(func.count()).where(waits, Video.next_enqueue_at <= now())
    yield "jobs due to be sent again", session.scalar(due)
    yield "votes not counted yet", session.scalar(select(func.count()).select_from(UncountedVote))
