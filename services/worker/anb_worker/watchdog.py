"""What systemd wants to know of a service: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Self


class Watchdog:
    """Tells systemd that the worker is ready and alive; says nothing where systemd does not ask.

    The longest silence of a healthy worker is a transfer that the object store lets hang: more than a minute, until
    botocore has tried it three times. WatchdogSec has to be longer.
    """

    def __init__(self, *, address: str, watchdog_seconds: float) -> None:
        """`address` is a datagram socket, "" for none; without `watchdog_seconds` nobody waits for signs of life."""
        self._address = address
        self._every_seconds = watchdog_seconds / 4
        self._said_at = 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return what systemd has asked for in NOTIFY_SOCKET and WATCHDOG_USEC."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        return cls(
            address=environment.get("NOTIFY_SOCKET", ""),
            watchdog_seconds=int(microseconds) / 1_000_000 if microseconds.isdecimal() else 0,
        )

    def ready(self) -> None:
        """Say that the service has started."""
        self._say("READY=1")

    def alive(self) -> None:
        """Say that the main thread gets on, at most four times in the time in which systemd wants to hear it."""
        if self._every_seconds and time.monotonic() - self._said_at >= self._every_seconds:
            self._said_at = time.monotonic()
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the service ends on purpose."""
        self._say("STOPPING=1")

    def _say(self, what: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            sender.sendto(what.encode(), address)
