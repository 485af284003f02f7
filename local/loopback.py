"""This machine's own address: what listens there and what answers."""

import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException

ADDRESS = "127.0.0.1"


def check_free(port: int) -> None:
    """Raise OSError unless a server could listen on the port."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ADDRESS, port))


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    try:
        check_free(port)
    except OSError:
        return False
    return True


def status(port: int, path: str) -> int | None:
    """The status of the answer to a GET, or nothing where nobody answers; no proxy is asked."""
    with closing(HTTPConnection(ADDRESS, port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
