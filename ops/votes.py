"""Compare the counters of votes with the votes themselves; --repair corrects what does not agree.

Each video's counter plus its votes that are not counted yet has to be the number of its vote rows, and a player's
counter in the ranking the same over all of the player's videos. Both may run while votes come in: the comparison
reads one snapshot for every 500 players, and a repair locks one counter at a time and counts again.
"""

import argparse
from collections.abc import Iterator

from anb.voting import Miscount, audit, recount
from ops.dependencies import Dependencies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--repair", action="store_true", help="correct the counters that are wrong")


def run(arguments: argparse.Namespace, dependencies: Dependencies) -> int:
    """Name every counter that is wrong, or correct it."""
    wrong = 0
    for miscount in _miscounts(dependencies):
        wrong += 1
        said = "is missing" if miscount.counted is None else f"says {miscount.counted}"
        print(f"{_name(miscount)} {said}, votes are {miscount.votes}{_repaired(arguments, dependencies, miscount)}")
    if not wrong:
        print("every counter agrees with its votes")
        return 0
    print(f"{wrong} counters {'repaired' if arguments.repair else 'are wrong; --repair corrects them'}")
    return 0 if arguments.repair else 3


def _miscounts(dependencies: Dependencies) -> Iterator[Miscount]:
    after: int | None = 0
    while after is not None:
        with dependencies.sessions() as session:
            found, after = audit(session, after_player=after)
        yield from found


def _repaired(arguments: argparse.Namespace, dependencies: Dependencies, miscount: Miscount) -> str:
    if not arguments.repair:
        return ""
    with dependencies.sessions.begin() as session:
        return f"; set to {recount(session, miscount)}"


def _name(miscount: Miscount) -> str:
    if miscount.video_id is None:
        return f"player {miscount.player_id} in the ranking"
    return f"video {miscount.video_id}"
