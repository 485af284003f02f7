"""Brings uploaded videos to the queue: at once where that works, and again when a message was lost.

A message is lost when the queue was away, purged or made again, or when a worker died with it.
"""

import logging
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Connection, Engine, or_, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from anb import lifecycle
from anb.jobs import MAX_BATCH, Job, Jobs, SendFailed
from anb.models import Status, Video, now, seconds_from_now
from anb.timings import Timings

_due = Video.next_enqueue_at <= now()
_DUE = (
    select(Video.id, Video.request_id)
    .where(Video.status.in_((Status.UPLOADED, Status.PROCESSING)), _due)
    .order_by(Video.next_enqueue_at)
    .limit(MAX_BATCH)
    .with_for_update(skip_locked=True)
)
_DUE_IN_A_BUSY_QUEUE = _DUE.where(
    or_(Video.enqueue_count == 0, Video.next_enqueue_at <= seconds_from_now("minus_seconds"))
)

log = logging.getLogger(__name__)


def mark_uploaded_and_enqueue(
    engine: Engine,
    jobs: Jobs,
    *,
    video_id: UUID,
    source: str,
    size_bytes: int,
    request_id: str,
    timings: Timings,
) -> bool:
    """Commit the video as uploaded, then send its job, and tolerate that the sending fails.

    In this order, because what was uploaded is safe once it is committed, while a message that came first could
    point to nothing. The relay sends what could not be sent, or could not be noted as sent. False when the
    reservation is over, and nothing was sent.
    """
    with engine.begin() as connection:
        if not lifecycle.mark_uploaded(
            connection, video_id=video_id, source=source, size_bytes=size_bytes, timings=timings
        ):
            return False
    try:
        jobs.send([Job(video_id=video_id, request_id=request_id)])
        with engine.begin() as connection:
            lifecycle.mark_enqueued(connection, video_id=video_id, timings=timings)
    except (BotoCoreError, ClientError, SendFailed, DBAPIError, PoolTimeout) as error:
        log.warning("could not enqueue", extra={"video_id": str(video_id), "error": error})
    return True


def relay(connection: Connection, jobs: Jobs, *, timings: Timings) -> int:
    """Send up to ten jobs that are due for the queue; return how many they were.

    Any number of processes may relay at once: each takes other rows. A crash between the sending and the commit
    repeats a message, which changes nothing.
    """
    if jobs.backlog() > 0:
        found = connection.execute(_DUE_IN_A_BUSY_QUEUE, {"minus_seconds": -timings.busy_resend_seconds}).all()
    else:
        found = connection.execute(_DUE).all()
    if not found:
        return 0
    jobs.send([Job(video_id=row.id, request_id=row.request_id) for row in found])
    for row in found:
        log.info("sent again", extra={"video_id": str(row.id), "request_id": row.request_id})
    lifecycle.mark_enqueued_again(connection, video_ids=[row.id for row in found], timings=timings)
    return len(found)
