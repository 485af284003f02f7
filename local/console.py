"""What the terminal shows: each line after the time and the name of the service that printed it."""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

NAME_WIDTH = 10
LEVEL_WIDTH = 7
SHORT_ID = 8  # characters; the files have all of it
NOT_SHOWN = {"time", "level", "event", "service", "logger", "taskName"}
OF_A_REQUEST = {"method", "path", "status", "seconds", "upstream_seconds", "bytes", "client"}
RED, YELLOW, GREY = 31, 33, 90
COLOURS = {"DEBUG": GREY, "WARNING": YELLOW, "ERROR": RED, "CRITICAL": RED}
WORRYING = {"error": "ERROR", "traceback": "ERROR", "fatal": "ERROR", "warning": "WARNING"}
_writing = threading.Lock()


def show(name: str, line: str) -> None:
    """Print a line of a service as people read it: of JSON what matters, other text as it is."""
    level, text = _readable(line)
    shown = f"{time.strftime('%H:%M:%S')} {name:<{NAME_WIDTH}} {level:<{LEVEL_WIDTH}} {text}".rstrip()
    colour = COLOURS.get(level)
    say(f"\x1b[{colour}m{shown}\x1b[0m" if colour and _has_colours() else shown)


def show_raw(name: str, line: str) -> None:
    """Print a line of a service as it came, if it is JSON; other text after the service's name."""
    say(line if _json(line) else f"{name:<{NAME_WIDTH}} | {line}")


def say(line: str) -> None:
    """Print a line that no other is mixed into; a reader who has gone is no reason to end."""
    with _writing:
        try:
            print(line, flush=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ignore(name: str, line: str) -> None:
    """Print nothing."""


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _json(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _readable(line: str) -> tuple[str, str]:
    """The level and the text of a line."""
    fields = _json(line)
    if fields is None:
        lower = line.lower()
        return next((level for word, level in WORRYING.items() if word in lower), ""), _printable(line)
    words = [str(fields.get("event", "")), *_request(fields), *_others(fields)]
    return _level(fields), _printable(" ".join(word for word in words if word))


def _level(fields: Mapping[str, Any]) -> str:
    """As the line says; nginx says none."""
    status = fields.get("status")
    by_status = "INFO" if not isinstance(status, int) or status < 500 else "ERROR"
    return str(fields.get("level", by_status))


def _request(fields: Mapping[str, Any]) -> list[str]:
    if "method" not in fields:
        return []
    words = [str(fields.get(name, "")) for name in ("method", "path", "status")]
    if isinstance(fields.get("seconds"), int | float):
        words.append(f"{fields['seconds'] * 1000:.0f} ms")
    return words


def _others(fields: Mapping[str, Any]) -> list[str]:
    """The fields that are no part of the above, each after its name."""
    known = NOT_SHOWN | (OF_A_REQUEST if "method" in fields else set())
    return [f"{name}={_short(name, str(value))}" for name, value in fields.items() if name not in known]


def _short(name: str, value: str) -> str:
    if name == "exc_info":
        return value.strip().rpartition("\n")[2]  # what it was; the file says where
    if name.endswith("_id"):
        return value[:SHORT_ID] if len(value) >= 32 else value
    return value


def _printable(text: str) -> str:
    """Without what would move the cursor or colour the terminal: a client chooses its paths."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
