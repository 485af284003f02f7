"""Compare the counters of votes with the votes.

--repair corrects what does not agree. Each video's counter plus its votes that are not counted yet has to be the
number of its vote rows, and a player's counter in the ranking the same over all of the player's videos. Both may run
while votes come in: the comparison reads one snapshot for every 500 players, and a repair locks one counter at a time
and counts again.
"""

from collections.abc import Iterator
from dataclasses import asdict

import click

from anb import commands
from anb.voting import Miscount, audit, recount
from ops.dependencies import Dependencies


@click.command("votes", help=__doc__)
@click.option("--repair", is_flag=True, help="Correct the counters that are wrong.")
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, repair: bool, as_json: bool) -> int:
    """Name every counter that is wrong, or correct it."""
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
