"""How long the product waits for what. Whoever composes a process passes this one value in."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Seconds between what recurs, until what is given up, and before what is tried again.

    SQS and MySQL count in whole seconds, so that what they are told is an `int`. Raises ValueError for numbers that
    break a promise which others of them make.
    """

    # A video's lease; what stacks/constructs/job_queue.py gives messages as their visibility timeout is the same
    lease_seconds: int = 120  # what it costs a video that its worker dies
    lease_heartbeat_seconds: float = 30
    lease_heartbeat_retry_seconds: float = 5  # after a heartbeat that the database did not take
    held_margin_seconds: int = 5  # a message for a leased video returns so long after the lease

    # The queue: when a job's message counts as lost and is sent again
    enqueue_grace_seconds: int = 10  # the relay leaves a new video to its own request, which sends the first message
    # The relay leaves a lease that is over to its message, which shows up again by itself; no longer, because a lost
    # message must not cost a video 150 s
    lease_over_margin_seconds: int = 10
    resend_seconds: int = 120  # a message is lost for sure when this has passed and the queue is empty ...
    busy_resend_seconds: int = 900  # ... while in a busy queue it may just wait for its turn
    max_resend_seconds: int = 3600  # between two messages of a video, the wait doubles up to this

    # Periodic tasks of every process
    relay_interval_seconds: float = 10
    tally_interval_seconds: float = 3  # a tally costs as much as a hundred votes in it
    purge_interval_seconds: float = 60

    # A worker
    poll_seconds: int = 5  # the longest that an idle worker takes to notice that it shall stop
    unavailable_retry_seconds: float = 3  # after the database, the queue or the object store did not answer
    stop_grace_seconds: float = 10  # what a job under way gets to finish after SIGTERM
    min_retry_delay_seconds: int = 15  # before the next attempt at a video; the wait doubles ...
    max_retry_delay_seconds: int = 600  # ... up to this

    # The termination of a worker's instance:
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html
    termination_poll_seconds: float = 5
    lifecycle_heartbeat_seconds: float = 60  # less than the hook of stacks/worker.py waits for one

    # The server forgets a client that has said nothing for so long, and the rows that it has locked: a machine that
    # froze or lost its network in mid-transaction keeps no video from the others
    database_idle_seconds: int = 60

    # What the janitor leaves alone
    min_orphan_age_seconds: int = 3600  # objects, so that nothing under way is touched
    row_purge_after_seconds: int = 24 * 3600  # rows of uploads that never arrived

    def __post_init__(self) -> None:
        promises = {
            "a lease outlasts a heartbeat that fails": 2 * self.lease_heartbeat_seconds < self.lease_seconds,
            "a connection that froze is forgotten before its lease ends": (
                self.database_idle_seconds < self.lease_seconds
            ),
            "a message is sent again only when its first one is visible": self.resend_seconds >= self.lease_seconds,
        }
        if broken := [promise for promise, is_kept in promises.items() if not is_kept]:
            raise ValueError(f"these timings do not keep what others promise: {'; '.join(broken)}")
