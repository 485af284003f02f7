"""Which client an address stands for, and what of it may be kept."""

import hashlib
import hmac
from ipaddress import IPv6Address, ip_address


def network(client_address: str) -> str:
    """Return what one client has for itself: an IPv4 address, or the 64 bits that an IPv6 network shares."""
    try:
        address = ip_address(client_address)
    except ValueError:
        return client_address
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped) if address.ipv4_mapped else f"{int(address) >> 64:x}"


def keyed_hash(client_address: str, *, key: str) -> str:
    """Return 32 hexadecimal digits that are the same for a client, and tell its address to nobody without the key.

    A hash without a key would: all IPv4 addresses are tried in minutes.
    """
    return hmac.new(key.encode(), network(client_address).encode(), hashlib.sha256).hexdigest()[:32]
