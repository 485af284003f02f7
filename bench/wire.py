"""Requests as they go over the wire, and connections that take their time."""

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

MULTIPART = "multipart/form-data; boundary=x"


def head(method: str, path: str, *, length: int, token: str = "", content_type: str = "application/json") -> bytes:
    """Return all of a request but the body, which has so many bytes."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    first = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{bearer}Content-Type: {content_type}\r\n"
    return f"{first}Content-Length: {length}\r\n\r\n".encode()


@dataclass(frozen=True)
class Request:
    """A request, with JSON for its body, and the address of a client from which a proxy would have it."""

    method: str
    path: str
    token: str = ""
    body: Mapping[str, str] | None = None
    client_address: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Return what a library does not add by itself."""
        headers = {
            "Content-Type": "application/json" if self.body else "",
            "Authorization": f"Bearer {self.token}" if self.token else "",
            "X-Forwarded-For": self.client_address,
        }
        return {name: value for name, value in headers.items() if value}

    @property
    def content(self) -> bytes:
        """Return the body as it goes over the wire."""
        return json.dumps(self.body).encode() if self.body else b""

    def to_bytes(self) -> bytes:
        """Return all of it as it goes over the wire."""
        return head(self.method, self.path, length=len(self.content), token=self.token) + self.content


def begin(url: str, beginning: bytes, *, source: str = "") -> socket.socket:
    """Return a connection over which a request has begun, ready for `drip`; `source` is its own address."""
    to = urlsplit(url)
    connection = socket.create_connection((to.hostname or "", to.port or 80), 30, (source, 0) if source else None)
    with suppress(OSError):  # refused already
        connection.sendall(beginning)
    connection.setblocking(False)
    return connection


def drip(connection: socket.socket) -> bytes | None:
    """Send one byte more; return what has come, empty where the server has closed, and None while it is listening."""
    try:
        return connection.recv(4096)
    except BlockingIOError:
        with suppress(OSError):  # the next call finds out
            connection.send(b"x")
        return None
    except OSError:
        return b""
