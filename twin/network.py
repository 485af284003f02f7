"""What lies between instances and everything else: a zone's network, which can be cut, and the load balancer."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from local import packages
from local.database import Database
from local.emulator import Emulator
from local.loopback import ADDRESS, status
from local.state import State
from local.supervisor import Service, Supervisor, Write
from local.tcp_proxy import TcpProxy
from twin.instance_cloud import InstanceCloud

_CONFIGURATION = """
daemon off;
master_process on;
worker_processes 1;
worker_shutdown_timeout {draining_seconds}s;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    log_format twin escape=json '{{"path":"$uri","status":$status,"seconds":$request_time}}';
    access_log /dev/stdout twin;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    client_max_body_size 0;
    {upstream}
    server {{
        listen {address}:{port};
        location = /balancer {{ access_log off; return 204; }}
        location / {{
            {target}
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_next_upstream off;
            proxy_connect_timeout {connect_milliseconds}ms;
            proxy_read_timeout {idle_milliseconds}ms;
        }}
    }}
}}
"""


class Zone:
    """The network of a zone: whatever its instances reach, and whoever reaches them, goes through here."""

    def __init__(self, name: str, *, database: Database, emulator: Emulator) -> None:
        self.name, self._database = name, database
        self._to_database, self._to_aws = TcpProxy(database.port), TcpProxy(emulator.port)
        self._to_instances: dict[str, TcpProxy] = {}
        self._clouds: dict[str, InstanceCloud] = {}
        self._is_cut = False

    @property
    def environment(self) -> Mapping[str, str]:
        """Where an instance of the zone finds the database, the object store and the queue."""
        aws = f"http://{ADDRESS}:{self._to_aws.port}"
        return {
            "ANB_DATABASE_URL": replace(self._database, port=self._to_database.port).url,
            "AWS_ENDPOINT_URL_S3": aws,
            "AWS_ENDPOINT_URL_SQS": aws,
        }

    def open_way(self, instance: str, port: int) -> int:
        """Return the port where the rest of the world reaches what an instance has at a port."""
        proxy = self._to_instances[instance] = TcpProxy(port)
        if self._is_cut:
            proxy.hang()
        return proxy.port

    def join(self, instance: str, cloud: InstanceCloud) -> None:
        """Have the calls of an instance to its group go through the zone's network."""
        cloud.broken = self._is_cut
        self._clouds[instance] = cloud

    def leave(self, instance: str) -> None:
        """Close what there is of an instance; whoever is connected to it is cut off."""
        self._clouds.pop(instance, None)
        if proxy := self._to_instances.pop(instance, None):
            proxy.close()

    def cut(self) -> None:
        """Let nothing through from now on, without closing anything."""
        self._switch(is_cut=True)

    def heal(self) -> None:
        """Let everything through again."""
        self._switch(is_cut=False)

    def _switch(self, *, is_cut: bool) -> None:
        self._is_cut = is_cut
        for proxy in (self._to_database, self._to_aws, *self._to_instances.values()):
            (proxy.hang if is_cut else proxy.heal)()
        for cloud in self._clouds.values():
            cloud.broken = is_cut

    def close(self) -> None:
        """Let go of every connection, once nothing runs any more."""
        for proxy in (self._to_database, self._to_aws, *self._to_instances.values()):
            proxy.close()


@dataclass(frozen=True)
class Answers:
    """What clients got at the load balancer: how often each status came."""

    by_status: Mapping[int, int]

    @property
    def failed(self) -> int:
        """How many answers told of a failure behind the balancer, or in it."""
        return sum(count for status_, count in self.by_status.items() if status_ >= 500)


class LoadBalancer:
    """nginx as the load balancer's data plane: sends requests in turn to the instances that it is told of.

    Like a load balancer of AWS it waits 10 s for a connection, tries no second instance, and answers 503 where
    there is none. Instances that it is no longer told of end the requests that they have.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
    """

    CONNECT_SECONDS = 10

    def __init__(
        self,
        state: State,
        *,
        idle_seconds: float,
        draining_seconds: float,
        speed: float,
        write: Write,
        heard: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`heard` gets the status of each answer, on a thread of the balancer's; `write` what else it prints."""
        self._folder = state.folder("balancer")
        self.port = state.port("balancer")
        self._times = {
            "connect_milliseconds": round(1000 * self.CONNECT_SECONDS / speed),
            "idle_milliseconds": round(1000 * idle_seconds / speed),
            "draining_seconds": max(1, round(draining_seconds / speed)),
        }
        self._heard, self._print, self._lock = heard, write, threading.Lock()
        self._counted, self._seen = 0, Counter[int]()
        self._write([])
        nginx = packages.find("nginx")["nginx"]
        service = Service(
            name="balancer",
            command=[str(nginx.path), "-e", "stderr", "-p", str(self._folder), "-c", str(self._file)],
            environment={**state.environment(), **nginx.environment},
            is_ready=lambda: status(self.port, "/balancer") == 204,
        )
        self._supervisor = Supervisor([service], write=self._read)

    @property
    def url(self) -> str:
        """Where clients come in."""
        return f"http://{ADDRESS}:{self.port}"

    def start(self) -> None:
        """Take connections from now on; raises ServiceFailed."""
        self._supervisor.start_all()

    def stop(self) -> None:
        """Take none any more."""
        self._supervisor.stop_all()

    def route(self, ports: Sequence[int]) -> None:
        """Send new requests to these ports of this machine alone."""
        self._write(ports)
        self._supervisor.kill("balancer", signal.SIGHUP)

    def requests(self) -> int:
        """Return how many requests there have been since this was asked last."""
        with self._lock:
            counted, self._counted = self._counted, 0
        return counted

    def answers(self) -> Answers:
        """Return what clients have got since the start."""
        with self._lock:
            return Answers(dict(self._seen))

    @property
    def _file(self) -> str:
        return str(self._folder / "nginx.conf")

    def _write(self, ports: Sequence[int]) -> None:
        servers = " ".join(f"server {ADDRESS}:{port} max_fails=0;" for port in ports)
        text = _CONFIGURATION.format(
            folder=self._folder,
            address=ADDRESS,
            port=self.port,
            upstream=f"upstream instances {{ {servers} keepalive 32; }}" if ports else "",
            target="proxy_pass http://instances;" if ports else "return 503;",
            **self._times,
        )
        (self._folder / "nginx.conf").write_text(text)

    def _read(self, name: str, line: str) -> None:
        if not line.startswith('{"path"'):
            self._print(name, line)
            return
        answered = int(json.loads(line)["status"])
        with self._lock:
            self._counted += 1
            self._seen[answered] += 1
        self._heard(answered)
