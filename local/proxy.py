"""nginx in front of the web tier, with the same configuration as on the instances."""

import grp
import os
import pwd
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.loopback import ADDRESS, status
from local.packages import Program
from local.state import State
from local.supervisor import Service

TEMPLATE = Path(__file__).resolve().parent.parent / "services" / "web" / "nginx.conf"


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """Where clients come in."""

    port: int

    @property
    def url(self) -> str:
        """The address of the site and of the API."""
        return f"http://{ADDRESS}:{self.port}"

    def is_ready(self) -> bool:
        """Whether nginx answers, be it with an error because there is nothing behind it."""
        return status(self.port, "/healthz") is not None

    def serves(self) -> bool:
        """Whether the whole system answers through it that it is ready."""
        return status(self.port, "/readyz") == 200


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """The networks of proxies before this one, and in which headers they say who the client is and how it came in."""

    networks: Sequence[str] = ()
    client_header: str = "X-Forwarded-For"
    scheme_header: str = "X-Forwarded-Proto"


NOBODY = Trusted()


def prepare(
    state: State, *, nginx: Program, port: int, upstream_port: int, trusted: Trusted = NOBODY
) -> tuple[Proxy, Service]:
    """The proxy on a port, and its service."""
    folder = state.folder("nginx")
    configuration = folder / "nginx.conf"
    configuration.write_text(
        render(
            TEMPLATE.read_text(),
            user=_user(),
            listen=f"{ADDRESS}:{port}",
            upstream=f"{ADDRESS}:{upstream_port}",
            run=str(folder),
            access_log="/dev/stdout",
            trusted=" ".join(f"set_real_ip_from {network};" for network in trusted.networks),
            client_header=trusted.client_header,
            scheme_variable=f"http_{trusted.scheme_header.lower().replace('-', '_')}",
        )
    )
    proxy = Proxy(port=port)
    service = Service(
        name="nginx",
        command=[str(nginx.path), "-e", "stderr", "-p", str(folder), "-c", str(configuration)],
        environment={**state.environment(), **nginx.environment},
        is_ready=proxy.is_ready,
        stop_signal=signal.SIGQUIT,  # its word for finishing what is under way
    )
    return proxy, service


def render(template: str, **values: str) -> str:
    """The template with each @NAME@ replaced; raises KeyError for one without a value."""
    return re.sub(r"@([A-Z_]+)@", lambda found: values[found[1].lower()], template)


def _user() -> str:
    """Started by root, its workers would become nobody, who may not enter the state folder."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name};"
