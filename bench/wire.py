"""Requests as they go over the wire, and connections that take their time."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

MULTIPART = "multipart/form-data; boundary=x"


def head(method: str, path: str, *, length: int, token: str = "", content_type: str = "application/json") -> bytes:
    """Return all of a request but the body, which has so many bytes."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    first = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{bearer}Content-Type: {content_type}\r\n"
    return f"{first}Content-Length: {length}\r\n\r\n".encode()


def request(method: str, path: str, *, body: bytes = b"", token: str = "") -> bytes:
    """Return a request."""
    return head(method, path, length=len(body), token=token) + body


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
