"""Take a public video away from the public, at once and with a reason for its player.

ID is the video's, REASON a text in Spanish that its player reads. The clip and its picture are deleted, the votes for
it are void, and the ranking follows. The player's original stays, so that `retry` can bring the video back if this
was a mistake; the votes are gone for good.
"""

from uuid import UUID

import click

from anb import commands, lifecycle
from ops.dependencies import CommandFailed, Dependencies
from ops.videos import count_waiting_votes, find_video

MAX_REASON_LENGTH = 400  # what the row's column holds, with the sentence around it


@click.command("takedown", help=__doc__)
@click.argument("video_id", metavar="ID", type=click.UUID)
@click.argument("reason", metavar="REASON")
@click.option("--dry-run", is_flag=True, help="Only say what would be taken away.")
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, video_id: UUID, reason: str, dry_run: bool, as_json: bool) -> int:
    """Take a video down."""
    if not reason.strip() or len(reason) > MAX_REASON_LENGTH:
        raise click.BadParameter(f"it must have 1 to {MAX_REASON_LENGTH} characters", param_hint="REASON")
    count_waiting_votes(dependencies)
    video = find_video(dependencies, video_id)
    if not dry_run:
        _take_down(dependencies, video_id, reason=f"El video fue retirado: {reason.strip()}")
    if as_json:
        commands.print_json({"video_id": video_id, "taken_down": not dry_run, "votes": video.votes})
    else:
        print(f"{'would take' if dry_run else 'took'} down video {video_id} with its {video.votes} votes")
    return commands.DONE


def _take_down(dependencies: Dependencies, video_id: UUID, *, reason: str) -> None:
    with dependencies.engine.begin() as connection:
        is_down = lifecycle.take_down(connection, video_id=video_id, reason=reason)
    # Also those of an earlier try that was interrupted here
    dependencies.storage.delete([f"processed/{video_id}/", f"thumbnails/{video_id}/"])
    if not is_down:
        raise CommandFailed(f"video {video_id} is not public")
