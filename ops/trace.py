"""Show a video's whole life: its row, the queue, its objects, and how to find its log lines.

ID is a video's id or the id of a request, which every answer carries as X-Request-Id. With --logs FILE... the
lines of those files (one JSON object each, "-" for standard input) that tell of it are shown in the order of time.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from sqlalchemy import select

from anb.models import Video
from anb.storage import prefixes
from ops.dependencies import CommandFailed, Dependencies
from ops.queues import counts, dead_letters_url
from ops.table import size, table, text

MOST_VIDEOS = 10  # of one request id, which clients may choose and repeat; a filter has at most 1,024 characters
_FIELDS = ("time", "service", "level", "event", "logger", "video_id", "request_id", "taskName")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("id", metavar="ID", help="of a video or a request")
    parser.add_argument("--logs", nargs="+", default=[], metavar="FILE", help="log files of web and workers")


def run(arguments: argparse.Namespace, dependencies: Dependencies) -> int:
    """Print all that is known of the id."""
    videos = _videos(dependencies, arguments.id)
    video_ids = [video.id for video in videos] or _as_video_id(arguments.id)
    for video in videos:
        print(table((f"video {video.id}", ""), _row(video)), end="\n\n")
    if not videos:
        print(f"no row has the id {arguments.id}: never accepted, or deleted", end="\n\n")
    objects = [found for video_id in video_ids for found in _objects(dependencies, video_id)]
    if objects:
        print(table(("object", "size", "stored"), objects), end="\n\n")
    print(_queue(dependencies), end="\n\n")
    ids = {arguments.id, *map(str, video_ids), *(video.request_id for video in videos)}
    lines = _life(arguments.logs, ids) if arguments.logs else []
    print("\n".join(lines) if arguments.logs else _filters(arguments.id, videos))
    if not (videos or objects or lines):
        raise CommandFailed(f"nothing is known of {arguments.id}")
    return 0


def _videos(dependencies: Dependencies, id_: str) -> Sequence[Video]:
    """The video with this id, or those that the request with this id brought, which takes a look at all rows."""
    with dependencies.sessions() as session:
        for video_id in _as_video_id(id_):
            if video := session.get(Video, video_id):
                return [video]
        return session.scalars(select(Video).where(Video.request_id == id_).limit(MOST_VIDEOS)).all()


def _as_video_id(id_: str) -> list[UUID]:
    try:
        return [UUID(id_)]
    except ValueError:
        return []


def _row(video: Video) -> list[tuple[str, object]]:
    names = (
        "status",
        "error",
        "title",
        "user_id",
        "request_id",
        "created_at",
        "uploaded_at",
        "processed_at",
        "source",
        "size_bytes",
        "votes",
    )
    work = ("attempt", "crashes", "lease_owner", "lease_until", "next_enqueue_at", "enqueue_count")
    return [(name, getattr(video, name)) for name in names + work]


def _objects(dependencies: Dependencies, video_id: UUID) -> Iterator[tuple[str, str, object]]:
    for prefix in prefixes(video_id):
        for page in dependencies.s3.get_paginator("list_objects_v2").paginate(
            Bucket=dependencies.bucket, Prefix=prefix
        ):
            for item in page.get("Contents", []):
                yield item["Key"], size(item["Size"]), item["LastModified"]


def _queue(dependencies: Dependencies) -> str:
    """Counts are all that a queue tells without taking its messages from the workers."""
    queues = {"job queue": dependencies.queue_url, "dead letters": dead_letters_url(dependencies)}
    found = {name: counts(dependencies, url) for name, url in queues.items()}
    states = next(iter(found.values()))
    return table(("messages of all videos", *states), [(name, *count.values()) for name, count in found.items()])


def _filters(id_: str, videos: Sequence[Video]) -> str:
    wanted = {("video_id", str(video.id)) for video in videos} | {
        ("request_id", video.request_id) for video in videos
    }
    wanted = wanted or {("video_id", id_), ("request_id", id_)}
    pattern = " || ".join(f'($.{field} = "{value}")' for field, value in sorted(wanted))
    return "\n".join(
        (
            "Its log lines, for each log group:",
            f"  aws logs filter-log-events --log-group-name GROUP --filter-pattern '{{ {pattern} }}'",
            "and in files, in the order of time:",
            f"  python -m ops trace {id_} --logs FILE...",
        )
    )


def _life(paths: Sequence[str], ids: set[str]) -> list[str]:
    """The lines of the files that carry one of the ids, in the order of time."""
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(path)) for path in paths]
        found = [line for file in files for line in _told(file, ids)]
    return [_line(entry) for entry in sorted(found, key=lambda entry: str(entry.get("time", "")))]


def _opened(path: str) -> TextIO:
    return sys.stdin if path == "-" else Path(path).open(encoding="utf-8", errors="replace")


def _told(lines: Iterable[str], ids: set[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not any(id_ in line for id_ in ids):
            continue
        start = line.find("{")  # whatever a supervisor has put before it
        try:
            entry = json.loads(line[start:])
        except ValueError:
            continue
        if isinstance(entry, dict) and ids & {entry.get("video_id"), entry.get("request_id")}:
            yield entry


def _line(entry: dict[str, Any]) -> str:
    details = " ".join(f"{name}={text(value)}" for name, value in entry.items() if name not in _FIELDS)
    known = (entry.get(name, "-") for name in ("time", "service", "level", "event"))
    return "  ".join(text(part) for part in (*known, details)).rstrip()
