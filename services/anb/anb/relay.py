"""Rings again for videos whose ring was lost: the queue was away, purged or recreated, or a worker died."""

import logging
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, text, update
from sqlalchemy.orm import Session

from anb.jobs import LARGEST_BATCH, Job, Jobs
from anb.models import Status, Video, now

EVERY_SECONDS = 10
# A message that was sent is lost for sure when this has passed and the queue is empty ...
RESEND_SECONDS = 120
# ... while in a busy queue it may just be waiting for its turn
PATIENCE_SECONDS = 900
LONGEST_DELAY_SECONDS = 3600

_delay_seconds = func.least(LONGEST_DELAY_SECONDS, RESEND_SECONDS * func.pow(2, Video.enqueue_count))
# MySQL assigns from left to right, so that the delay is computed from the count before this sending
_SENT: dict[str, Any] = {
    "next_enqueue_at": func.timestampadd(text("SECOND"), _delay_seconds, now()),
    "enqueue_count": Video.enqueue_count + 1,
}
_FIRST_SENT = update(Video).where(Video.id == bindparam("video_id"), Video.status == Status.UPLOADED).values(_SENT)

log = logging.getLogger(__name__)


def relay(session: Session, jobs: Jobs) -> int:
    """Send up to ten jobs that are due for the queue; return how many they were.

    Any number of processes may relay at once: each takes other rows. A crash between the sending and the commit
    repeats a message, which changes nothing.
    """
    due = Video.next_enqueue_at <= now()
    if jobs.backlog() > 0:
        never_sent = Video.enqueue_count == 0
        due = due & or_(never_sent, Video.next_enqueue_at <= now(plus_seconds=-PATIENCE_SECONDS))
    found = session.execute(
        select(Video.id, Video.request_id)
        .where(Video.status.in_((Status.UPLOADED, Status.PROCESSING)), due)
        .order_by(Video.next_enqueue_at)
        .limit(LARGEST_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not found:
        return 0
    jobs.send([Job(video_id=row.id, request_id=row.request_id) for row in found])
    for row in found:
        log.info("sent again", extra={"video_id": str(row.id), "request_id": row.request_id})
    session.execute(update(Video).where(Video.id.in_([row.id for row in found])).values(_SENT))
    return len(found)


def sent(connection: Connection, job: Job) -> None:
    """Note that the queue has taken the job's first message; a worker may be busy with it already."""
    connection.execute(_FIRST_SENT, {"video_id": job.video_id})
