"""Judges what a scenario has left behind, from what its clients were told and what is stored; asks no product code.

Every 201 ends as processed exactly once, or as failed with a reason. Every vote answered with 200 is counted
exactly once. Nothing is left over but what the janitor is there for.
"""

import re
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from demo.inspection import HEIGHT, WIDTH, read_file
from local.emulator import BUCKET
from tests.faults.world import World
from tests.waiting import within

RECOVERY_SECONDS = 150  # the most that an accepted video waits after the last fault
_KEY = re.compile(r"(?:(?:incoming|processed|thumbnails)|uploads(?=/.{36}/[0-9a-f]{32}/))/([0-9a-f-]{36})/.+")
_ALLOWED = {200, 201, 400, 401, 403, 404, 405, 429}


@dataclass
class History:
    """What the clients of one scenario have done, and what they were answered."""

    players: list[int] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    """The id in each 201, and how it must end: `processed`, `failed`, or either of them."""
    deleted: set[str] = field(default_factory=set)
    votes: set[tuple[int, str]] = field(default_factory=set)
    """Voter and video of each vote that was answered with 200."""
    voted_on: set[str] = field(default_factory=set)
    answers: Counter[tuple[int, bool]] = field(default_factory=Counter)
    """How often each status came, with a Retry-After or without; 0 where a connection broke."""
    last_fault: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> None:
        """A fault happens, or ends, now."""
        self.last_fault = time.monotonic()

    def answered(self, status: int, *, retry_after: bool) -> None:
        """Note an answer; called from several threads."""
        with self._lock:
            self.answers[status, retry_after] += 1


@dataclass
class Verdict:
    """What a scenario's row in the report says, and what is wrong."""

    accepted: int = 0
    processed: int = 0
    failed: int = 0
    lost: int = 0
    duplicated: int = 0
    recovery_seconds: float = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    id: str
    status: str
    error: str | None
    attempt: int
    votes: int
    source: str | None


def judge(
    world: World,
    history: History,
    *,
    dead_letters: int = 0,
    orphans: bool = True,
    answers_cut: bool = False,
    patience_seconds: float = RECOVERY_SECONDS + 60,
    limit_seconds: float = RECOVERY_SECONDS,
) -> Verdict:
    """Wait until everything has ended, then check every invariant.

    `orphans` says whether objects that no row points to may be left to the janitor, `answers_cut` whether a process
    died that may have begun an answer: its client cannot be told anything any more, and asks again.
    """
    verdict = Verdict(accepted=len(history.accepted))
    waited = _await_ends(world, history, patience_seconds)
    verdict.recovery_seconds = round(max(waited, *_recoveries(world)), 1)
    if verdict.accepted and verdict.recovery_seconds > limit_seconds:
        verdict.problems.append(f"recovery took {verdict.recovery_seconds} s, more than {limit_seconds:g}")
    rows = {row.id: row for row in _rows(world, history)}
    _judge_videos(world, history, rows, verdict)
    _judge_votes(world, history, verdict)
    _judge_objects(world, history, rows, verdict, orphans=orphans)
    _judge_queue(world, verdict, dead_letters=dead_letters)
    _judge_machine(world, verdict)
    _judge_answers(history, verdict, answers_cut=answers_cut)
    return verdict


def _rows(world: World, history: History) -> list[_Row]:
    if not history.players:
        return []
    marks = ", ".join(["%s"] * len(history.players))
    found = world.rows(
        f"SELECT id, status, error, attempt, votes, source FROM anb.videos WHERE user_id IN ({marks})",  # noqa: S608 marks only
        *history.players,
    )
    return [_Row(dashed(row[0]), *row[1:]) for row in found if row[1] != "deleted"]


def _await_ends(world: World, history: History, patience_seconds: float) -> float:
    """How long after the last fault the last video reached its end."""
    within(
        history.last_fault + patience_seconds - time.monotonic(),
        lambda: not any(row.status in {"uploaded", "processing"} for row in _rows(world, history)),
    )
    return max(0.0, time.monotonic() - history.last_fault)


def _recoveries(world: World) -> list[float]:
    """How long after the last death of a worker over it each video reached its end."""
    deaths = [each for each in world.obeyed() if each["action"] == "crash" and each["role"] == "worker"]
    last = {death["video"]: death["at"] for death in deaths if death["video"]}
    marks = ", ".join(["%s"] * len(last)) or "''"
    ends = world.rows(
        f"SELECT video_id, at FROM faults.ends WHERE video_id IN ({marks})",  # noqa: S608 marks only
        *(_bare(video_id) for video_id in last),
    )
    return [0.0, 0.0, *(at.replace(tzinfo=UTC).timestamp() - last[dashed(video_id)] for video_id, at in ends)]


def _judge_videos(world: World, history: History, rows: dict[str, _Row], verdict: Verdict) -> None:
    marks = ", ".join(["%s"] * len(rows)) or "''"
    journal = world.rows(
        f"SELECT video_id, became, attempt FROM faults.ends WHERE video_id IN ({marks}) ORDER BY id",  # noqa: S608 marks only
        *(_bare(video_id) for video_id in rows),
    )
    ends: dict[str, list[tuple[str, int]]] = {}
    for video_id, became, attempt in journal:
        ends.setdefault(dashed(video_id), []).append((became, attempt))
    for video_id, wanted in history.accepted.items():
        row = rows.get(video_id)
        if video_id in history.deleted:
            if row is not None:
                verdict.problems.append(f"{video_id} was deleted and is still there, {row.status}")
            continue
        if row is None or row.status not in {"processed", "failed"}:
            verdict.lost += 1
            verdict.problems.append(f"{video_id} is lost: {row}")
        elif row.status not in wanted:
            verdict.problems.append(f"{video_id} ended as {row.status} ({row.error}) and not as {wanted}")
    for row in rows.values():
        verdict.processed += row.status == "processed"
        verdict.failed += row.status == "failed"
        if row.status == "failed" and not row.error:
            verdict.problems.append(f"{row.id} failed without a reason")
        if len(again := ends.get(row.id, [])) > 1:
            verdict.duplicated += len(again) - 1
            verdict.problems.append(f"{row.id} has ended more than once: {again}")


def _judge_votes(world: World, history: History, verdict: Verdict) -> None:
    if not history.voted_on:
        return
    within(30, lambda: not world.rows("SELECT 1 FROM anb.uncounted_votes LIMIT 1"))
    for video_id in sorted(history.voted_on):
        found = {row[0] for row in world.rows("SELECT user_id FROM anb.votes WHERE video_id = %s", _bare(video_id))}
        query = "SELECT COUNT(*) FROM anb.excluded_votes WHERE video_id = %s"
        due = len(found) - world.rows(query, _bare(video_id))[0][0]
        sure = {voter for voter, voted in history.votes if voted == video_id}
        ((counted, player),) = world.rows("SELECT votes, user_id FROM anb.videos WHERE id = %s", _bare(video_id))
        if missing := sure - found:
            verdict.lost += len(missing)
            verdict.problems.append(f"{len(missing)} votes for {video_id} were answered with 200 and are not there")
        if counted < due:
            verdict.lost += due - counted
        if counted > due:
            verdict.duplicated += counted - due
        if counted != due:
            verdict.problems.append(f"{video_id} counts {counted} of {due} votes")
        wanted = world.rows("SELECT COALESCE(SUM(votes), 0) FROM anb.videos WHERE user_id = %s", player)
        stands = world.rows("SELECT votes FROM anb.standings WHERE user_id = %s", player)
        if [int(row[0]) for row in wanted] != [int(row[0]) for row in stands]:
            verdict.problems.append(f"player {player} stands with {stands} of {wanted} votes")


def _judge_objects(world: World, history: History, rows: dict[str, _Row], verdict: Verdict, *, orphans: bool) -> None:
    keys = world.keys()
    for row in rows.values():
        if row.status == "processed":
            for key in _published(row):
                if key not in keys:
                    verdict.lost += 1
                    verdict.problems.append(f"{row.id} is open to votes without {key}")
            verdict.problems += [f"{row.id}: {wrong}" for wrong in _picture_problems(world, row, keys)]
        if row.status not in {"awaiting_upload", "refused"} and _source(row) not in keys:
            verdict.problems.append(f"the source of {row.id} is gone")
    known = {_source(row) for row in rows.values()}
    known |= {f"incoming/{row.id}/source.mp4" for row in rows.values() if row.status == "awaiting_upload"}
    known |= {key for row in rows.values() if row.status == "processed" for key in _published(row)}
    ours = set(rows) | set(history.accepted)
    left = sorted(key for key in keys - known if (found := _KEY.fullmatch(key)) and found[1] in ours)
    if left and not orphans:
        verdict.problems.append(f"objects that no row points to: {left}")
    if strange := sorted(key for key in keys if not _KEY.fullmatch(key)):
        verdict.problems.append(f"objects that the janitor would not know: {strange}")


def _source(row: _Row) -> str:
    return f"uploads/{row.id}/{row.source}/source.mp4"


def _published(row: _Row) -> tuple[str, str]:
    return f"processed/{row.id}/{row.attempt}.mp4", f"thumbnails/{row.id}/{row.attempt}.jpg"


def _picture_problems(world: World, row: _Row, keys: set[str]) -> list[str]:
    key = _published(row)[0]
    if key not in keys:
        return []
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        world.s3.download_fileobj(BUCKET, key, file)
        file.flush()
        try:
            clip = read_file(Path(file.name))
        except Exception as error:  # noqa: BLE001 whatever is wrong with it, it is no video
            return [f"its result cannot be read: {error}"]
    found = (clip.width, clip.height, clip.tracks, clip.index_first, clip.frames)
    due = (WIDTH, HEIGHT, 1, True, 750)
    return [] if found == due else [f"its result is {found} and not {due}"]


def _judge_queue(world: World, verdict: Verdict, *, dead_letters: int) -> None:
    # A repeated message may be invisible for one more timeout
    within(2 * world.lease_seconds + 30, lambda: not sum(world.messages()))
    if any(left := world.messages()):
        verdict.problems.append(f"the queue still holds {left} messages")
    if (dead := world.dead_letters()) != dead_letters:
        verdict.problems.append(f"{dead} dead letters and not {dead_letters}")


def _judge_machine(world: World, verdict: Verdict) -> None:
    within(10, lambda: not world.stray_encoders() and not world.scratch_files())
    if stray := world.stray_encoders():
        verdict.problems.append(f"processes still work in scratch: {stray}")
    if files := world.scratch_files():
        verdict.problems.append(f"scratch holds {[str(file) for file in files]}")


def _judge_answers(history: History, verdict: Verdict, *, answers_cut: bool) -> None:
    for (status, retry_after), times in sorted(history.answers.items()):
        fine = status in _ALLOWED or (status == 503 and retry_after) or (status == 0 and answers_cut)
        if not fine:
            verdict.problems.append(f"{times} answers with {status or 'a broken connection'}")


def _bare(video_id: str) -> str:
    return video_id.replace("-", "")


def dashed(bare: str) -> str:
    """A video's id as everybody but the database writes it."""
    return f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
