"""Remove what no row points to.

These are objects without a video, and uploads that were begun and never arrived. Without --delete it only says what
it would remove. What is younger than an hour is left alone, so that nothing under way is touched. It is safe at any
time and as often as wanted; on its own it removes nothing that may still be of use to anybody:

\b
- An object is removed when its video has no row or was deleted, or when it is the result of an attempt that cannot
  win any more: one before the row's, or the row's own after that was given back or given up. A result with a higher
  attempt than its row knows stays: that row has come back from a backup.
- A copy of a source is removed unless it is the one that the row accepted, and what clients have posted by
  themselves unless its reservation is still open.
- A key that this system does not write is somebody else's and stays.
- The row of a refused reservation or of a deleted video is removed after 24 hours. So is a reservation when nothing
  has arrived for it and it has no idempotency key. When the file has arrived it stays for as long as the file does:
  only the player can say that it is complete. That is about a day, after which the bucket's lifecycle takes the
  file. With a key it stays too: a repeated request may be filling this very row at this moment. A row costs some
  hundred bytes.
- Where more than half of the objects would go, something else is wrong, such as the wrong database, and it takes
  --force to go on.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click
from sqlalchemy import bindparam, select

from anb import commands, lifecycle
from anb.models import Status, Video
from anb.storage import ObjectMissing, incoming_key, processed_key, source_key, thumbnail_key
from anb.videos import Columns
from ops.dependencies import CommandFailed, Dependencies
from ops.table import size

FOLDERS = ("incoming/", "uploads/", "processed/", "thumbnails/")
BATCH = 500  # rows looked at between two looks at the object store
_OF_OBJECTS = select(Video.id, Video.status, Video.source, Video.attempt).where(
    Video.id.in_(bindparam("video_ids", expanding=True))
)
_WITHOUT_SOURCE = (Status.AWAITING_UPLOAD, Status.REFUSED)
_FEW = 10  # objects, of which any part may go
_KEY = re.compile(
    r"\w+/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/"
    r"(?:(?:(?P<source>[0-9a-f]{32})/)?source|(?P<attempt>\d{1,9}))\.\w+"
)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object that this system may have written; `attempt` is None for what players have sent."""

    key: str
    size_bytes: int
    video_id: UUID
    attempt: int | None


@click.command("janitor", help=__doc__)
@click.option("--delete", is_flag=True, help="Remove what is found, instead of only naming it.")
@click.option("--force", is_flag=True, help="Remove even more than half of all objects.")
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, delete: bool, force: bool, as_json: bool) -> int:
    """Name or remove what no row points to."""
    if delete and not force:
        _refuse_to_remove_most(dependencies)
    say = (lambda _: None) if as_json else print
    verb = "removed" if delete else "would remove"
    objects, rows = [], []
    for orphan in _sweep_objects(dependencies, delete=delete):
        say(f"{verb}  {orphan.key}  {size(orphan.size_bytes)}")
        objects.append(orphan)
    for video_id in _sweep_rows(dependencies, delete=delete):
        say(f"{verb}  row {video_id}")
        rows.append(video_id)
    total_bytes = sum(orphan.size_bytes for orphan in objects)
    say(f"{verb} {len(objects)} objects ({size(total_bytes)}) and {len(rows)} rows")
    if as_json:
        commands.print_json({"removed": delete, "objects": [asdict(orphan) for orphan in objects], "rows": rows})
    return commands.FAILED if (objects or rows) and not delete else commands.DONE


def _sweep_objects(dependencies: Dependencies, *, delete: bool) -> Iterator[Stored]:
    for page in _pages(dependencies):
        orphans = _orphans(dependencies, page)
        if delete:
            _remove(dependencies, orphans)
        yield from orphans


def _sweep_rows(dependencies: Dependencies, *, delete: bool) -> Iterator[UUID]:
    for video_id in _abandoned(dependencies):
        if not delete or _delete_row(dependencies, video_id):
            yield video_id


def _refuse_to_remove_most(dependencies: Dependencies) -> None:
    seen, orphans = 0, 0
    for page in _pages(dependencies):
        seen += len(page)
        orphans += len(_orphans(dependencies, page))
    if orphans > _FEW and orphans > seen / 2:
        raise CommandFailed(
            f"{orphans} of {seen} objects have no row, which is more than half: is this the right database? "
            "Nothing was removed; --force removes them all the same"
        )


def _pages(dependencies: Dependencies) -> Iterator[list[Stored]]:
    """All objects of ours that are old enough, at most a thousand at a time."""
    for folder in FOLDERS:
        for page in dependencies.s3.get_paginator("list_objects_v2").paginate(
            Bucket=dependencies.bucket, Prefix=folder
        ):
            before = datetime.now(UTC) - timedelta(seconds=dependencies.timings.min_orphan_age_seconds)
            old = (item for item in page.get("Contents", []) if item["LastModified"] < before)
            yield [stored for item in old if (stored := _parse(item["Key"], item["Size"]))]


def _parse(key: str, size_bytes: int) -> Stored | None:
    found = _KEY.fullmatch(key)
    if not found:
        return None
    video_id, attempt = UUID(found["id"]), int(found["attempt"]) if found["attempt"] else None
    ours = (
        [incoming_key(video_id), source_key(video_id, found["source"])]
        if attempt is None
        else [processed_key(video_id, attempt), thumbnail_key(video_id, attempt)]
    )
    return Stored(key=key, size_bytes=size_bytes, video_id=video_id, attempt=attempt) if key in ours else None


def _orphans(dependencies: Dependencies, page: list[Stored]) -> list[Stored]:
    """Those of the page that nobody needs any more, which they then never will be again.

    The rows are read after the objects: a row is there before its first object is.
    """
    ids = {stored.video_id for stored in page}
    if not ids:
        return []
    with dependencies.engine.begin() as connection:
        found = {row.id: row for row in connection.execute(_OF_OBJECTS, {"video_ids": list(ids)})}
    return [stored for stored in page if _is_orphan(stored, found.get(stored.video_id))]


def _is_orphan(stored: Stored, row: Columns | None) -> bool:
    if row is None or row.status == Status.DELETED:
        return True
    if stored.key == incoming_key(row.id):
        return bool(row.status != Status.AWAITING_UPLOAD)
    if stored.attempt is None:
        return row.status in _WITHOUT_SOURCE or stored.key != source_key(row.id, row.source)
    if stored.attempt > row.attempt:
        return False
    return bool(stored.attempt < row.attempt or row.status not in {Status.PROCESSING, Status.PROCESSED})


def _remove(dependencies: Dependencies, orphans: Iterable[Stored]) -> None:
    keys = [{"Key": orphan.key} for orphan in orphans]
    if not keys:
        return
    answer = dependencies.s3.delete_objects(Bucket=dependencies.bucket, Delete={"Objects": keys, "Quiet": True})  # type: ignore[typeddict-item] # the stub wants its own TypedDict
    if errors := answer.get("Errors"):
        first = errors[0]
        raise CommandFailed(
            f"{len(errors)} objects could not be removed, {first.get('Key')} because: {first.get('Message')}"
        )


def _abandoned(dependencies: Dependencies) -> Iterator[UUID]:
    """The rows that are over, and the reservations that nothing has arrived for."""
    after = UUID(int=0)
    while True:
        with dependencies.engine.begin() as connection:
            found = lifecycle.purgeable(connection, after=after, at_most=BATCH, timings=dependencies.timings)
        for row in found:
            if row.status != Status.AWAITING_UPLOAD or not _has_arrived(dependencies, row.id):
                yield row.id
        if len(found) < BATCH:
            return
        after = found[-1].id


def _has_arrived(dependencies: Dependencies, video_id: UUID) -> bool:
    try:
        dependencies.storage.size_bytes(incoming_key(video_id))
    except ObjectMissing:
        return False
    return True


def _delete_row(dependencies: Dependencies, video_id: UUID) -> bool:
    with dependencies.engine.begin() as connection:
        return lifecycle.purge(connection, video_id=video_id, timings=dependencies.timings)
