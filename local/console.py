"""What the terminal shows: each line after the name of the part that printed it."""

import os
import sys
import threading

COLOURS = (36, 33, 35, 32, 34, 31)
NAME_WIDTH = 10
_writing = threading.Lock()


def show(name: str, line: str) -> None:
    """Print a line of a part; with colour on a terminal, unless NO_COLOR asks for none."""
    prefix = f"{name:<{NAME_WIDTH}} | "
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        prefix = f"\x1b[{COLOURS[sum(name.encode()) % len(COLOURS)]}m{prefix}\x1b[0m"
    say(prefix + line)


def say(line: str) -> None:
    """Print a line that no other is mixed into; a reader who has gone is no reason to end."""
    with _writing:
        try:
            print(line, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ignore(name: str, line: str) -> None:
    """Print nothing."""
