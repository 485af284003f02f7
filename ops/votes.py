"""Compare the counters of votes with the votes, and decide about suspicious ones.

--repair corrects what does not agree. Each video's counter plus its votes that are not counted yet has to be the
number of its votes that count, and a player's counter in the ranking the same over all of the player's videos. Both
may run while votes come in: the comparison reads one snapshot for every 500 players, and a repair locks one counter
at a time and counts again.

Decisions may be taken while votes come in, too. One that is cut short is complete when it is given again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click
from sqlalchemy import bindparam, func, select

from anb import commands, vote_reviews
from anb.models import ExcludedVote, UncountedVote, Voiding
from anb.voting import Miscount, audit, recount, tally
from ops import clusters
from ops.clusters import Cluster
from ops.dependencies import CommandFailed, Dependencies
from ops.table import table

MAX_NOTE_LENGTH = 500
COUNTED_WITHIN_SECONDS = 30.0
_LAST_UNCOUNTED = select(func.max(UncountedVote.id))
_STILL_UNCOUNTED = select(UncountedVote.id).where(UncountedVote.id <= bindparam("last")).limit(1)
_VOIDINGS = (
    select(Voiding.id, Voiding.created_at, Voiding.note, func.count(ExcludedVote.user_id).label("votes"))
    .outerjoin(ExcludedVote, ExcludedVote.voiding_id == Voiding.id)
    .group_by(Voiding.id, Voiding.created_at, Voiding.note)
    .order_by(Voiding.id)
)
_VOIDING = select(Voiding.id).where(Voiding.id == bindparam("number"))

clusters_argument = click.argument("names", metavar="CLUSTER...", nargs=-1, required=True)


@click.group("votes", help=__doc__, invoke_without_command=True)
@click.option("--repair", is_flag=True, help="Correct the counters that are wrong.")
@commands.json_option
@click.pass_context
def command(context: click.Context, *, repair: bool, as_json: bool) -> int:
    """Name every counter that is wrong, or correct it."""
    if context.invoked_subcommand is not None:
        return commands.DONE
    dependencies: Dependencies = context.obj
    wrong = []
    for miscount in _miscounts(dependencies):
        set_to = _repair(dependencies, miscount) if repair else None
        wrong.append({**asdict(miscount), "set_to": set_to})
        if not as_json:
            print(_line(miscount, set_to=set_to))
    if as_json:
        commands.print_json(wrong)
    elif wrong:
        print(f"{len(wrong)} counters {'repaired' if repair else 'are wrong; --repair corrects them'}")
    else:
        print("every counter agrees with its votes")
    return commands.FAILED if wrong and not repair else commands.DONE


@command.command(help=clusters.__doc__)
@commands.json_option
@click.pass_obj
def suspicious(dependencies: Dependencies, *, as_json: bool) -> int:
    """List the clusters."""
    found = [cluster for cluster in _found(dependencies) if not cluster.is_decided]
    if as_json:
        commands.print_json([_report(cluster) for cluster in found])
    else:
        header = ("cluster", "video", "from", "counted", "held", "void", "reasons")
        print(table(header, [_row(cluster) for cluster in found]))
        print(f"{len(found)} clusters")
    return commands.FAILED if found else commands.DONE


@command.command()
@clusters_argument
@click.option("--note", required=True, help="Why: whoever looks at it later reads this.")
@commands.json_option
@click.pass_obj
def void(dependencies: Dependencies, *, names: Sequence[str], note: str, as_json: bool) -> int:
    """Take the clusters' votes out of the count; the voters are not told."""
    if len(note) > MAX_NOTE_LENGTH:
        raise CommandFailed(f"the note has {len(note)} characters; {MAX_NOTE_LENGTH} are kept")
    chosen = _chosen(dependencies, names)
    with dependencies.engine.begin() as connection:
        number = vote_reviews.begin_voiding(connection, note=note)
    done = sum(
        _decide(dependencies, cluster.video_id, cluster.voter_ids, vote_reviews.void, voiding_id=number)
        for cluster in chosen
    )
    said = f"voided {done} votes; python -m ops votes restore {number} undoes it"
    return _conclude(dependencies, {"voided": done, "number": number}, said, as_json=as_json)


@command.command()
@clusters_argument
@commands.json_option
@click.pass_obj
def release(dependencies: Dependencies, *, names: Sequence[str], as_json: bool) -> int:
    """Let the clusters' held votes count, and those that their voters cast from now on."""
    done = sum(
        _decide(dependencies, cluster.video_id, cluster.voter_ids, vote_reviews.release)
        for cluster in _chosen(dependencies, names)
    )
    return _conclude(dependencies, {"released": done}, f"released {done} votes", as_json=as_json)


@command.command()
@click.argument("number", type=click.IntRange(min=1))
@commands.json_option
@click.pass_obj
def restore(dependencies: Dependencies, *, number: int, as_json: bool) -> int:
    """Undo the voiding with this number: what counted before counts again, what was held is held again."""
    with dependencies.engine.begin() as connection:
        if connection.scalar(_VOIDING, {"number": number}) is None:
            raise CommandFailed(f"no voiding has the number {number}: python -m ops votes voidings lists them")
    done = 0
    while part := _still_void(dependencies, number):
        done += _decide(dependencies, *part, vote_reviews.restore, voiding_id=number)
    return _conclude(dependencies, {"restored": done}, f"restored {done} votes", as_json=as_json)


@command.command()
@commands.json_option
@click.pass_obj
def voidings(dependencies: Dependencies, *, as_json: bool) -> int:
    """List what was voided, when, why, and how many of those votes still are."""
    with dependencies.engine.begin() as connection:
        found = connection.execute(_VOIDINGS).all()
    if as_json:
        commands.print_json([dict(row._mapping) for row in found])  # noqa: SLF001 SQLAlchemy's documented name
    else:
        print(table(("number", "when", "votes", "note"), [(v.id, v.created_at, v.votes, v.note) for v in found]))
    return commands.DONE


def _found(dependencies: Dependencies) -> list[Cluster]:
    with dependencies.engine.begin() as connection:
        return clusters.find(connection)


def _chosen(dependencies: Dependencies, names: Sequence[str]) -> list[Cluster]:
    found = {cluster.name: cluster for cluster in _found(dependencies)}
    if unknown := [name for name in names if name not in found]:
        raise CommandFailed(f"no cluster {', '.join(unknown)}: python -m ops votes suspicious lists them")
    return [found[name] for name in names]


def _decide(
    dependencies: Dependencies,
    video_id: UUID,
    voter_ids: Sequence[int],
    decision: Callable[..., int],
    **arguments: int,
) -> int:
    done = 0
    for start in range(0, len(voter_ids), vote_reviews.BATCH):
        batch = voter_ids[start : start + vote_reviews.BATCH]
        with dependencies.engine.begin() as connection:
            done += decision(connection, video_id=video_id, voter_ids=batch, **arguments)
    return done


def _still_void(dependencies: Dependencies, number: int) -> tuple[UUID, list[int]] | None:
    with dependencies.engine.begin() as connection:
        return vote_reviews.voided(connection, voiding_id=number)


def _conclude(dependencies: Dependencies, report: Mapping[str, int], said: str, *, as_json: bool) -> int:
    _count(dependencies)
    if as_json:
        commands.print_json(report)
    else:
        print(said)
    return commands.DONE


def _count(dependencies: Dependencies) -> None:
    """Tally until what was decided shows in every counter, whether we or a process of the web have counted it."""
    with dependencies.engine.begin() as connection:
        last = connection.scalar(_LAST_UNCOUNTED)
    deadline = time.monotonic() + COUNTED_WITHIN_SECONDS
    while last is not None and _is_uncounted(dependencies, last):
        with dependencies.engine.begin() as connection:
            counted = tally(connection)
        if time.monotonic() > deadline:
            raise CommandFailed("it is decided, but another tally still holds some of the votes: look again")
        if not counted:
            time.sleep(0.1)  # another has them in hand


def _is_uncounted(dependencies: Dependencies, last: int) -> bool:
    with dependencies.engine.begin() as connection:
        return connection.scalar(_STILL_UNCOUNTED, {"last": last}) is not None


def _report(cluster: Cluster) -> dict[str, Any]:
    names = ("name", "video_id", "origin", "counted", "held", "void", "reasons", "voter_ids")
    return {name: getattr(cluster, name) for name in names}


def _row(cluster: Cluster) -> tuple[object, ...]:
    numbers = (cluster.counted, cluster.held, cluster.void)
    return (cluster.name, cluster.video_id, cluster.origin, *numbers, ", ".join(cluster.reasons))


def _miscounts(dependencies: Dependencies) -> Iterator[Miscount]:
    after: int | None = 0
    while after is not None:
        found, after = audit(dependencies.engine, after_player=after)
        yield from found


def _repair(dependencies: Dependencies, miscount: Miscount) -> int:
    with dependencies.engine.begin() as connection:
        return recount(connection, miscount)


def _line(miscount: Miscount, *, set_to: int | None) -> str:
    said = "is missing" if miscount.counted is None else f"says {miscount.counted}"
    repaired = "" if set_to is None else f"; set to {set_to}"
    return f"{_name(miscount)} {said}, votes are {miscount.votes}{repaired}"


def _name(miscount: Miscount) -> str:
    if miscount.video_id is None:
        return f"player {miscount.player_id} in the ranking"
    return f"video {miscount.video_id}"
