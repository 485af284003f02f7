"""A worker's instance: what its metadata says, what its group may be asked for, who else works on it."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_METADATA_SECONDS = 2
_TOKEN_SECONDS = 21600
_SHARE_SECONDS = 5  # longer than another worker holds all shares while it asks the group for something
_FORBIDDEN = 403

log = logging.getLogger(__name__)


class MetadataAway(Exception):
    """Nobody answers where instances find their metadata."""


class Metadata:
    """The instance metadata service, version 2.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = urlsplit(endpoint)
        self._token: str | None = None

    @classmethod
    def configured(cls) -> "Metadata":
        """Return the service where botocore looks for it: AWS_EC2_METADATA_SERVICE_ENDPOINT, or its known address."""
        return cls(
            botocore.session.get_session().get_config_variable("ec2_metadata_service_endpoint")
            or "http://169.254.169.254"
        )

    def get(self, path: str) -> str | None:
        """Return what stands under the path, or None when nothing does; raise MetadataAway after 2 s of silence."""
        found = self._look(path) if self._token else None
        if found is None or found[0] == 401:  # no token yet, or one that has run out
            self._renew_token()
            found = self._look(path)
        status, text = found
        return text if status == 200 else None

    def _look(self, path: str) -> tuple[int, str]:
        return self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": self._token or ""})

    def _renew_token(self) -> None:
        wanted = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)}
        status, token = self._ask("PUT", "/latest/api/token", wanted)
        if status != 200:
            raise MetadataAway(f"the metadata service refuses a token with {status}")
        self._token = token

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        at = self._endpoint
        connection = HTTPConnection(at.hostname or "", at.port, timeout=_METADATA_SECONDS)  # never through a proxy
        try:
            connection.request(method, at.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, HTTPException, UnicodeDecodeError) as error:
            raise MetadataAway(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()


def autoscaling_client() -> Any:
    """Return a client that gives up after some 3 s, since work waits for it."""
    return boto3.session.Session().client(
        "autoscaling",
        config=Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1}),
    )


class Group:
    """What the instance asks of its Auto Scaling group. Nothing here raises: all of it is a courtesy.

    An action that the account does not allow is logged once and not asked for again; each method returns False
    when asking again later could help.
    """

    def __init__(self, client: Any, metadata: Metadata, *, name: str, hook: str) -> None:
        self._client, self._metadata = client, metadata
        self._name, self._hook = name, hook
        self._instance_id: str | None = None
        self._refused: set[str] = set()

    def protect(self, wanted: bool) -> bool:
        """Keep scale-in from choosing this instance, or let it."""
        return self._ask("set_instance_protection", plural=True, ProtectedFromScaleIn=wanted)

    def record_heartbeat(self) -> bool:
        """Ask for more time before the termination that is under way."""
        return self._ask("record_lifecycle_action_heartbeat", LifecycleHookName=self._hook)

    def complete_lifecycle_action(self) -> bool:
        """Let the termination that is under way proceed."""
        return self._ask("complete_lifecycle_action", LifecycleHookName=self._hook, LifecycleActionResult="CONTINUE")

    def _ask(self, action: str, *, plural: bool = False, **wanted: object) -> bool:
        if action in self._refused:
            return True
        try:
            itself = {"InstanceIds": [self._id()]} if plural else {"InstanceId": self._id()}
            getattr(self._client, action)(AutoScalingGroupName=self._name, **itself, **wanted)
        except ClientError as error:
            is_final = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _FORBIDDEN
            if is_final:
                self._refused.add(action)
            log.warning("the group refuses", extra={"action": action, "again": not is_final, "error": error})
            return is_final
        except (BotoCoreError, MetadataAway) as error:
            log.warning("the group cannot be asked", extra={"action": action, "error": error})
            return False
        log.info("asked the group", extra={"action": action, **wanted})
        return True

    def _id(self) -> str:
        self._instance_id = self._instance_id or self._metadata.get("instance-id")
        if self._instance_id is None:
            raise MetadataAway("the metadata service does not know the instance's id")
        return self._instance_id


class Share:
    """A part that each worker of an instance can hold in the same thing, so that the last one is known to be it.

    A lock on a file that all of them can read, which the kernel takes back from a process that dies.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def take(self) -> None:
        """Take a part, waiting at most 5 s for a worker that has all of them at the moment."""
        deadline = time.monotonic() + _SHARE_SECONDS
        while not self._locked(fcntl.LOCK_SH) and time.monotonic() < deadline:
            time.sleep(0.05)

    @contextmanager
    def given_back(self) -> Iterator[bool]:
        """Give the part back and tell whether nobody else has one; if so, nobody takes one before the block ends."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        is_last = self._locked(fcntl.LOCK_EX)
        try:
            yield is_last
        finally:
            if is_last:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _locked(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
