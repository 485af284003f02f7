"""Show all that is known of a video.

This is its row, the queue, its objects, and how to find its log lines.

ID is a video's id or the id of a request, which every answer carries as X-Request-Id. Of the LOGS, files of nginx,
web and workers with a JSON object in each line ("-" for standard input), the lines that tell of it are shown in the
order of time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO
from uuid import UUID

import click
from sqlalchemy import Row, bindparam, select

from anb import commands
from anb.models import Video
from anb.storage import prefixes
from ops.dependencies import CommandFailed, Dependencies
from ops.log_lines import time_of
from ops.queues import counts, dead_letters_url
from ops.table import size, table, text

MAX_VIDEOS = 10  # of one request id, which clients may choose and repeat; a filter has at most 1,024 characters
_BY_ID = select(Video).where(Video.id == bindparam("video_id"))
_BY_REQUEST = select(Video).where(Video.request_id == bindparam("request_id")).limit(MAX_VIDEOS)
_FIELDS = ("time", "service", "level", "event", "logger", "video_id", "request_id", "taskName")


Messages = Mapping[str, Mapping[str, int]]


@click.command("trace", help=__doc__)
@click.argument("id_", metavar="ID")
@click.argument("logs", metavar="[LOGS]...", nargs=-1, type=click.File(encoding="utf-8", errors="replace"))
@commands.json_option
@click.pass_obj
def command(dependencies: Dependencies, *, id_: str, logs: Sequence[TextIO], as_json: bool) -> int:
    """Print all that is known of the id."""
    videos = _videos(dependencies, id_)
    video_ids = [video.id for video in videos] or _as_video_id(id_)
    objects = [found for video_id in video_ids for found in _objects(dependencies, video_id)]
    lines = _life(logs, {id_, *map(str, video_ids), *(video.request_id for video in videos)})
    messages = _messages(dependencies)
    if as_json:
        rows = [dict(_row(video)) for video in videos]
        commands.print_json({"videos": rows, "objects": objects, "messages": messages, "log_lines": lines})
    else:
        _print(id_, videos, objects, messages)
        print("\n".join(map(_line, lines)) if logs else _filters(id_, videos))
    if not (videos or objects or lines):
        raise CommandFailed(f"nothing is known of {id_}")
    return commands.DONE


def _print(id_: str, videos: Sequence[Row[Any]], objects: Sequence[Mapping[str, Any]], messages: Messages) -> None:
    for video in videos:
        print(table((f"video {video.id}", ""), _row(video)[1:]), end="\n\n")
    if not videos:
        print(f"no row has the id {id_}: never accepted, or deleted", end="\n\n")
    if objects:
        shown = [(found["key"], size(found["size_bytes"]), found["stored_at"]) for found in objects]
        print(table(("object", "size", "stored"), shown), end="\n\n")
    states = next(iter(messages.values()))
    print(table(("messages of all videos", *states), [(queue, *count.values()) for queue, count in messages.items()]))
    print()


def _videos(dependencies: Dependencies, id_: str) -> Sequence[Row[Any]]:
    """The video with this id, or those that the request with this id brought, which takes a look at all rows."""
    with dependencies.engine.begin() as connection:
        for video_id in _as_video_id(id_):
            if video := connection.execute(_BY_ID, {"video_id": video_id}).one_or_none():
                return [video]
        return connection.execute(_BY_REQUEST, {"request_id": id_}).all()


def _as_video_id(id_: str) -> list[UUID]:
    try:
        return [UUID(id_)]
    except ValueError:
        return []


def _row(video: Row[Any]) -> list[tuple[str, object]]:
    names = (
        "id",
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


def _objects(dependencies: Dependencies, video_id: UUID) -> Iterator[dict[str, Any]]:
    for prefix in prefixes(video_id):
        for page in dependencies.s3.get_paginator("list_objects_v2").paginate(
            Bucket=dependencies.bucket, Prefix=prefix
        ):
            for item in page.get("Contents", []):
                yield {"key": item["Key"], "size_bytes": item["Size"], "stored_at": item["LastModified"]}


def _messages(dependencies: Dependencies) -> Messages:
    """Counts are all that a queue tells without taking its messages from the workers."""
    queues = {"job queue": dependencies.queue_url, "dead letters": dead_letters_url(dependencies)}
    return {name: counts(dependencies, url) for name, url in queues.items()}


def _filters(id_: str, videos: Sequence[Row[Any]]) -> str:
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
            f"  python -m ops trace {id_} FILE...",
        )
    )


def _life(logs: Iterable[TextIO], ids: set[str]) -> list[dict[str, Any]]:
    """The lines of the files that carry one of the ids, in the order of time."""
    found = [line for file in logs for line in _told(file, ids)]
    return sorted(found, key=lambda entry: time_of(str(entry.get("time", ""))))


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
