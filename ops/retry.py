"""Process a video again that has failed, or that was taken down.

ID is the video's. Its attempts count from the beginning; it is public once it is processed, without earlier votes.
"""

from uuid import UUID

import click

from anb import commands, lifecycle
from anb.models import Status
from anb.storage import ObjectMissing, source_key
from ops.dependencies import CommandFailed, Dependencies
from ops.videos import find_video


@click.command("retry", help=__doc__)
@click.argument("video_id", metavar="ID", type=click.UUID)
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, video_id: UUID, as_json: bool) -> int:
    """Hand a failed video to the workers once more."""
    video = find_video(dependencies, video_id)
    if video.status == Status.FAILED:
        _check_source(dependencies, video_id, video.source)
    with dependencies.engine.begin() as connection:
        is_due = lifecycle.retry(connection, video_id=video_id)
    if not is_due:
        raise CommandFailed(f"video {video_id} is {video.status}, and only one that failed can be tried again")
    if as_json:
        commands.print_json({"video_id": video_id, "status": Status.UPLOADED})
    else:
        print(f"video {video_id} is due: its job goes to the queue within seconds")
    return commands.DONE


def _check_source(dependencies: Dependencies, video_id: UUID, source: str | None) -> None:
    try:
        dependencies.storage.size_bytes(source_key(video_id, source))
    except ObjectMissing:
        raise CommandFailed(f"video {video_id} has no source any more: its player has to upload it again") from None
