"""Leases that a test takes itself, in a worker's place."""

from uuid import UUID

from sqlalchemy import Connection

from anb.lifecycle import Lease, claim
from anb.timings import Timings


def lease(connection: Connection, video_id: UUID) -> Lease:
    """The lease of a video that waits for a worker."""
    found = claim(connection, video_id=video_id, owner="test", timings=Timings())
    assert isinstance(found, Lease), found
    return found
