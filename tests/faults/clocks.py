"""What the product waits for: as it is ("true"), or about a tenth of it."""

from dataclasses import dataclass, replace

from anb.timings import Timings
from anb_worker.sandbox import Limits


@dataclass(frozen=True, kw_only=True)
class Clock:
    """What is passed to the processes where they are composed."""

    timings: Timings = Timings()
    limits: Limits = Limits()


# The queue and the database count in whole seconds
CLOCKS = {
    "true": Clock(),
    "tenth": Clock(
        timings=Timings(
            lease_seconds=12,
            lease_heartbeat_seconds=3,
            lease_heartbeat_retry_seconds=0.5,
            enqueue_grace_seconds=1,
            lease_over_margin_seconds=1,
            resend_seconds=12,
            busy_resend_seconds=90,
            max_resend_seconds=360,
            relay_interval_seconds=1,
            tally_interval_seconds=0.3,
            poll_seconds=1,
            unavailable_retry_seconds=0.3,
            stop_grace_seconds=1,
            min_retry_delay_seconds=2,
            max_retry_delay_seconds=60,
            termination_poll_seconds=0.5,
            lifecycle_heartbeat_seconds=6,
            database_idle_seconds=6,
            min_orphan_age_seconds=0,
        ),
        limits=replace(Limits(), stall_seconds=6),
    ),
}
