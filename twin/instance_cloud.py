"""What an instance in an Auto Scaling group can ask: its metadata service and the API of its group, over real HTTP.

A fake of no more than the workers use. boto3 parses its answers and `tests/integration/test_termination.py` holds it
to https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

_FORBIDDEN = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not for you</Message></Error></ErrorResponse>"
_DONE = "<{0}Response><{0}Result/></{0}Response>"


class InstanceCloud(ThreadingHTTPServer):
    """Answers for one instance; `state` is what the group wants of it, None for an instance outside a group.

    `calls` are the parameters of every call that the group got, and `heard` is called with each, on the thread that
    answers it; the actions in `forbidden` are refused with 403, all of them with 503 while `broken`. The last of
    `tokens` is the valid one.
    """

    def __init__(
        self,
        instance: str = "i-0123456789",
        *,
        group: str = "anb-workers",
        hook: str = "finish-job",
        heard: Callable[[Mapping[str, str]], None] = lambda _: None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.instance, self.group, self.hook, self.heard = instance, group, hook, heard
        self.state: str | None = "InService"
        self.tokens = ["token-1"]
        self.calls: list[dict[str, str]] = []
        self.forbidden: set[str] = set()
        self.broken = False
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes a worker of this instance ask here."""
        return {
            "ANB_AUTO_SCALING_GROUP": self.group,
            "ANB_LIFECYCLE_HOOK": self.hook,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url,
            "AWS_ENDPOINT_URL_AUTO_SCALING": self.url,
        }

    def actions(self, *, of: str = "Action") -> list[str]:
        """One parameter of every call that has it, in order."""
        return [call[of] for call in self.calls if of in call]

    def asked(self, action: str) -> list[dict[str, str]]:
        """The calls of one action."""
        return [call for call in self.calls if call["Action"] == action]


class _Handler(BaseHTTPRequestHandler):
    server: InstanceCloud

    def do_PUT(self) -> None:
        asked = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200 if asked else 400, self.server.tokens[-1])

    def do_GET(self) -> None:
        found = {
            "/latest/meta-data/autoscaling/target-lifecycle-state": self.server.state,
            "/latest/meta-data/instance-id": self.server.instance,
        }.get(self.path)
        known = self.headers["X-aws-ec2-metadata-token"] == self.server.tokens[-1]
        self._answer(401 if not known else 404 if found is None else 200, found or "")

    def do_POST(self) -> None:
        sent = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        if self.server.broken:
            self._answer(503, _FORBIDDEN)
            return
        self.server.calls.append(sent)
        action = sent["Action"]
        forbidden = action in self.server.forbidden
        if not forbidden:
            self.server.heard(sent)
        self._answer(403 if forbidden else 200, _FORBIDDEN if forbidden else _DONE.format(action))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_cloud(instance: str = "i-0123456789", **made_of: Any) -> Iterator[InstanceCloud]:
    """The cloud of an instance until the block ends; takes what `InstanceCloud` does."""
    with InstanceCloud(instance, **made_of) as cloud:
        thread = threading.Thread(target=cloud.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield cloud
        finally:
            cloud.shutdown()
            thread.join()
