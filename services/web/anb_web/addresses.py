"""Who sends the current request, as far as that may be kept."""

from flask import request

from anb import addresses
from anb_web.dependencies import dependencies


def hashed_address() -> str | None:
    """Return the keyed hash of the client's address, None where the server was not told it."""
    if not request.remote_addr:
        return None
    return addresses.keyed_hash(request.remote_addr, key=dependencies().address_key)
