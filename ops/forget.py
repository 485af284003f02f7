"""Erase a person: account, videos with their files, votes, and what hangs on them.

USER is the account's number or e-mail address. Nobody can bring any of it back. The votes that the person has cast
are taken back, and counters and ranking follow. What stays is a receipt with the account's number, in the database
and as this command prints it.
"""

from collections.abc import Sequence
from uuid import UUID

import click
from sqlalchemy import bindparam, func, select

from anb import accounts, commands, erasure, lifecycle
from anb.models import Video, Vote
from anb.storage import prefixes
from ops.dependencies import CommandFailed, Dependencies
from ops.videos import count_waiting_votes

_VIDEOS = select(Video.id).where(Video.user_id == bindparam("person")).order_by(Video.id)
_VOTES = (
    select(func.count())
    .join_from(Vote, Video, Vote.video_id == Video.id)
    .where(Vote.user_id == bindparam("person"), Video.user_id != bindparam("person"))
)


@click.command("forget", help=__doc__)
@click.argument("who", metavar="USER")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, who: str, dry_run: bool, as_json: bool) -> int:
    """Erase a person's data everywhere."""
    user_id = find_user(dependencies, who)
    videos, votes = _belongings(dependencies, user_id)
    if not dry_run:
        videos, receipt = _erase(dependencies, user_id)
        votes = receipt.votes
    if as_json:
        found = {"user_id": user_id, "erased": not dry_run, "videos": list(map(str, videos)), "votes": votes}
        commands.print_json(found)
    else:
        verb = "would erase" if dry_run else "erased"
        print(f"{verb} account {user_id} with {len(videos)} videos and {votes} votes for others")
    return commands.DONE


def find_user(dependencies: Dependencies, who: str) -> int:
    """Return the number of an account; raise CommandFailed where there is none."""
    with dependencies.engine.begin() as connection:
        user_id = accounts.find(connection, who)
    if user_id is None:
        raise CommandFailed("there is no such account")  # its name may be somebody's, and belongs into no log
    return user_id


def _belongings(dependencies: Dependencies, user_id: int) -> tuple[Sequence[UUID], int]:
    person = {"person": user_id}
    with dependencies.engine.begin() as connection:
        return connection.scalars(_VIDEOS, person).all(), int(connection.scalar(_VOTES, person) or 0)


def _erase(dependencies: Dependencies, user_id: int) -> tuple[Sequence[UUID], erasure.Receipt]:
    """A token that was given out before is good for an hour: what it still brings goes in another round."""
    while True:
        count_waiting_votes(dependencies)
        with dependencies.engine.begin() as connection:
            videos = lifecycle.delete_all(connection, owner_id=user_id)
        for video_id in videos:
            dependencies.storage.delete(prefixes(video_id))
        with dependencies.engine.begin() as connection:
            receipt = erasure.finish(connection, user_id=user_id)
        if receipt:
            return videos, receipt
