"""Shows that the proof can fail: each of these changes to the code makes a scenario fail."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.console import say
from tests.faults import accidents, crashes, outages, races
from tests.faults.stage import Stage, stage
from tests.faults.world import copy_services


@dataclass(frozen=True)
class Mutation:
    """A change of the code, and a scenario that has to notice it."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    """File below `services`, what stands there exactly once, and what stands there instead."""
    scenario: Callable[[Stage], None]


def _voting_dies(stage: Stage) -> None:
    crashes.web_dies(stage, 1, chosen=crashes.VOTING)


_VOTED = """\
            address=hashed_address(),
            limits=dependencies().abuse_limits,
        )"""
_COUNTED_LATER = f"""\
{_VOTED}
    with dependencies().engine.begin() as connection:
        voting.count_vote(connection, video_id=videos.parse_id(video_id))
"""

MUTATIONS = [
    Mutation(
        "no fence on finish",
        (
            (
                "anb/anb/lifecycle.py",
                "_FINISH = update(Video).where(_ours).",
                "_FINISH = update(Video).where(_video).",
            ),
        ),
        accidents.frozen,
    ),
    Mutation(
        "message deleted before the commit",
        (
            (
                "worker/anb_worker/loop.py",
                "        if not self._settle(heartbeat, write):\n",
                "        self._jobs.delete(message)\n        if not self._settle(heartbeat, write):\n",
            ),
        ),
        crashes.message_outlives_outcome,
    ),
    Mutation(
        "copied whatever is there by then",
        (("anb/anb/storage.py", "                CopySourceIfMatch=opened.etag,\n", ""),),
        races.posted_during_complete,
    ),
    Mutation(
        "one key for every copy of a source",
        (("anb/anb/storage.py", "    return uuid.uuid4().hex\n", '    return "0" * 32\n'),),
        races.completed_twice,
    ),
    Mutation(
        "no relay",
        (
            (
                "anb/anb/periodic_tasks.py",
                "lambda connection: relay(connection, jobs, timings=timings)",
                "lambda _: 0",
            ),
        ),
        outages.queue_purged,
    ),
    Mutation(
        "heartbeat stopped",
        (
            (
                "worker/anb_worker/heartbeat.py",
                "        while not self._ended.wait(pause) and not self.lost.is_set():\n",
                "        while not self._ended.wait(pause) and False:\n",
            ),
        ),
        accidents.long_job,
    ),
    Mutation(
        "crash not counted",
        (("anb/anb/lifecycle.py", "        crashes=Video.crashes + 1,\n", ""),),
        crashes.poison,
    ),
    Mutation(
        "vote counter added outside the transaction",
        (
            (
                "anb/anb/voting.py",
                '    else:\n        connection.execute(_UNCOUNTED_VOTE, {"video_id": video_id})\n',
                (
                    "\n\ndef count_vote(connection: Connection, *, video_id: UUID) -> None:\n"
                    '    connection.execute(_UNCOUNTED_VOTE, {"video_id": video_id})\n'
                ),
            ),
            (
                "web/anb_web/public.py",
                f"{_VOTED}\n",
                _COUNTED_LATER,
            ),
        ),
        _voting_dies,
    ),
]


class DoesNotFit(Exception):
    """The code is not what the mutation expects to change."""


def play(names: tuple[str, ...]) -> int:
    """Play each mutation, or those whose names begin so; 1 when one of them goes unnoticed."""
    unnoticed = []
    for mutation in MUTATIONS:
        if names and not mutation.name.startswith(names):
            continue
        found = problems(mutation)
        say(f"{mutation.name}: {'; '.join(found) or 'NOT NOTICED'}")
        if not found:
            unnoticed.append(mutation.name)
    if unnoticed:
        say(f"the proof does not notice: {', '.join(unnoticed)}")
    return 1 if unnoticed else 0


def problems(mutation: Mutation) -> list[str]:
    """What the mutation's scenario finds wrong."""
    with tempfile.TemporaryDirectory(prefix="anb-mutation-") as name:
        folder = Path(name)
        mutate(mutation, folder / "services")
        with stage(folder, clock="tenth", workers=2, code=folder / "services") as here:
            try:
                mutation.scenario(here)
            except AssertionError as error:
                return [f"it could not be played to its end: {error}"]
            return [problem for row in here.rows for problem in row.verdict.problems]


def mutate(mutation: Mutation, copy: Path) -> None:
    """Write a changed copy of the services; raises DoesNotFit unless every change fits exactly once."""
    copy_services(copy)
    for file, before, after in mutation.changes:
        source = (copy / file).read_text()
        if source.count(before) != 1:
            raise DoesNotFit(f"{mutation.name}: {file} holds {source.count(before)} times {before!r}")
        (copy / file).write_text(source.replace(before, after))
