"""Videos as operators name them."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, select

from anb.models import Video
from anb.voting import tally
from ops.dependencies import CommandFailed, Dependencies

_BY_ID = select(Video).where(Video.id == bindparam("video_id"))


def find_video(dependencies: Dependencies, video_id: UUID) -> Row[Any]:
    """Return a video's row; raise CommandFailed where there is none."""
    with dependencies.engine.begin() as connection:
        video = connection.execute(_BY_ID, {"video_id": video_id}).one_or_none()
    if video is None:
        raise CommandFailed(f"there is no video {video_id}")
    return video


def count_waiting_votes(dependencies: Dependencies) -> None:
    """Count the votes that the tally has not reached yet: without them a counter would show too few until it does."""
    counted = 1
    while counted:
        with dependencies.engine.begin() as connection:
            counted = tally(connection)
