"""Show what the services have logged: of the last quarter of an hour, or as it comes.

Each line is JSON or text as the service wrote it, after the fleet or the service it is from. PATTERN is a word that
the lines have in them, such as a request's id.
"""

import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from anb import commands
from deploy import cloudformation
from ops.account.desk import Desk
from ops.log_lines import time_of
from ops.table import text

LOOK_EVERY_SECONDS = 5
_GROUP = "AWS::Logs::LogGroup"
_TIME = re.compile(r'"time": ?"([^"]*)"')  # our programs write a space, nginx none


@click.command("logs", help=__doc__)
@click.argument("pattern", metavar="[PATTERN]", default="")
@click.option("--minutes", type=click.IntRange(min=1), default=15, show_default=True, help="How far to look back.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@commands.json_option
@click.pass_obj
def command(desk: Desk, *, pattern: str, minutes: int, follow: bool, as_json: bool) -> int:
    """Print log lines in the order of time."""
    source = _Groups(desk, pattern) if desk.is_on_aws else _Files(desk, pattern)
    found = source.since(datetime.now(UTC) - timedelta(minutes=minutes))
    if as_json:
        commands.print_json([{"from": origin, "line": line} for origin, line in found])
        return commands.DONE
    _show(found)
    while follow:
        time.sleep(LOOK_EVERY_SECONDS)
        _show(source.new())
    return commands.DONE


def _show(lines: Sequence[tuple[str, str]]) -> None:
    for origin, line in lines:
        print(f"{origin}  {text(line)}", flush=True)


class _Groups:
    """The log groups of both fleets."""

    def __init__(self, desk: Desk, pattern: str) -> None:
        self._logs = desk.account.client("logs")
        self._pattern = f'"{pattern}"' if pattern else ""
        self._groups = {
            stack: resource.id
            for stack in (desk.names.web, desk.names.worker)
            for resource in cloudformation.resources(desk.account, stack)
            if resource.type == _GROUP
        }
        self._seen: set[str] = set()
        self._from = datetime.now(UTC)

    def since(self, moment: datetime) -> list[tuple[str, str]]:
        self._from = moment
        return self.new()

    def new(self) -> list[tuple[str, str]]:
        """Return what was not there before; lines arrive up to some seconds late, and are looked for again."""
        looked_at = datetime.now(UTC)
        found = [it for stack, group in self._groups.items() for it in self._events(stack, group)]
        self._from = max(self._from, looked_at - timedelta(minutes=1))
        return [(origin, line) for _, origin, line in sorted(found)]

    def _events(self, stack: str, group: str) -> Iterator[tuple[int, str, str]]:
        asked: dict[str, Any] = {"logGroupName": group, "startTime": int(self._from.timestamp() * 1000)}
        if self._pattern:
            asked["filterPattern"] = self._pattern
        for page in self._logs.get_paginator("filter_log_events").paginate(**asked):
            for event in page["events"]:
                if event["eventId"] not in self._seen:
                    self._seen.add(event["eventId"])
                    yield event["timestamp"], f"{stack}/{event['logStreamName']}", event["message"]


class _Files:
    """The files of `make run`."""

    def __init__(self, desk: Desk, pattern: str) -> None:
        self._folder, self._pattern = desk.logs_folder, pattern
        self._read: dict[str, int] = {}

    def since(self, moment: datetime) -> list[tuple[str, str]]:
        """Return the lines that tell a later time; those that tell none are left out."""
        return [(origin, line) for origin, line in self.new() if _time(line) >= moment]

    def new(self) -> list[tuple[str, str]]:
        lines = [(file.stem, line) for file in sorted(self._folder.glob("*.log")) for line in self._tail(file)]
        return sorted(lines, key=lambda found: _time(found[1]))

    def _tail(self, file: Any) -> Iterator[str]:
        with file.open(encoding="utf-8", errors="replace") as opened:
            opened.seek(min(self._read.get(file.name, 0), file.stat().st_size))
            for line in opened.read().splitlines():
                if self._pattern in line:
                    yield line
            self._read[file.name] = opened.tell()


def _time(line: str) -> datetime:
    found = _TIME.search(line)
    return time_of(found[1] if found else "")
