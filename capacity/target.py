"""Where load may go: to this machine, or to what whoever sends it says is theirs."""

from ipaddress import ip_address
from urllib.parse import urlsplit

MAX_REMOTE_USERS = 500
"""What one generator in the lab sends at most; more would measure the generator and spend other people's network."""


class Refused(Exception):
    """Load may not go there; a sentence says why."""


def check(url: str, *, confirmed_host: str, users: int) -> None:
    """Raise Refused unless so many users may go to the URL.

    A host that is not this machine has to be confirmed by writing its name once more.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Refused(f"{url!r} is no address such as http://127.0.0.1:8080")
    if is_loopback(parts.hostname):
        return
    if confirmed_host != parts.hostname:
        raise Refused(
            f"{parts.hostname} is not this machine; load is sent only to what is yours: confirm it with --own-host "
            f"{parts.hostname}"
        )
    if users > MAX_REMOTE_USERS:
        raise Refused(f"{users} users are more than the {MAX_REMOTE_USERS} that go to another machine")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address: a name can be made to lead anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
