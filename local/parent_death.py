"""Runs a program that does not outlive the process which started it, not even after SIGKILL.

Usage: python -I -S parent_death.py PARENT_PID PROGRAM [ARGUMENT ...]

A program of its own rather than a function for `subprocess` to run between fork and exec, which is unsafe
where there are threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PR_SET_PDEATHSIG = 1


def dying_with_us(command: Iterable[str]) -> list[str]:
    """Return the command of a process that becomes the given one and dies with the process that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def die_with_parent() -> None:
    """Have the kernel send us SIGTERM when our parent dies; elsewhere than on Linux, nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    """Become the program."""
    parent, program, *arguments = sys.argv[1:]
    die_with_parent()
    if os.getppid() != int(parent):
        sys.exit("the parent is gone already")
    # What a process blocks or ignores stays so across exec: Python ignores SIGPIPE, the supervisor blocks others
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(program, [program, *arguments])  # noqa: S606 - becoming that program is the point
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}")


if __name__ == "__main__":
    main()
