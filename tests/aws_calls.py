"""Which AWS calls each part of the product makes: written down while the integration tests have it make them.

`tests/aws_calls.json` is what is written down, by caller, operation and what it is about. A test fails when a call is
made in it that is not there; `pytest tests/integration --record-aws-calls` writes it again, without what nobody calls
any more. tests/stacks/test_rights.py holds the roles of production to it.
"""

import json
import re
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
from botocore.session import Session

from anb.storage import S3Storage

FILE = Path(__file__).with_suffix(".json")
DEAD_LETTERS = "dead letters"
JOBS = "jobs"
# Whose code is on the stack tells who calls. Both services run the relay, and only the web asks in threads of a pool
# whether object store and queue answer
_CALLERS = {
    "anb.storage.S3Storage.ping": {"web"},
    "anb.jobs.SqsJobs.ping": {"web"},
    "anb_web": {"web"},
    "anb_worker": {"worker"},
    "ops": {"ops"},
    "anb.relay": {"web", "worker"},
}
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_ATTEMPT = re.compile(r"\d+(?=\.\w+$)")


@dataclass(frozen=True, order=True)
class AwsCall:
    """Who calls which operation, such as s3:HeadObject, on what: an object's key, a queue, a group, or a secret."""

    caller: str
    operation: str
    target: str


def read() -> set[AwsCall]:
    """Return the calls that are written down."""
    written = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        AwsCall(caller, operation, target)
        for caller, operations in written.items()
        for operation, targets in operations.items()
        for target in targets
    }


def write(calls: set[AwsCall]) -> None:
    """Write down these calls and no others."""
    found: dict[str, dict[str, list[str]]] = {}
    for call in sorted(calls):
        found.setdefault(call.caller, {}).setdefault(call.operation, []).append(call.target)
    FILE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


class Recorder:
    """Notes every call that the product makes in this process, from the sessions made after it was started."""

    def __init__(self) -> None:
        self.calls: set[AwsCall] = set()
        self._lock = threading.Lock()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to botocore until the end of the block, and to what the product signs without it."""
        botocore.register_initializer(self._attach)
        boto3.setup_default_session()  # the one that there may be was made before
        try:
            with pytest.MonkeyPatch.context() as patch:
                self._listen_to(patch, "link", "s3:GetObject")
                self._listen_to(patch, "upload_form", "s3:PutObject")
                yield
        finally:
            botocore.unregister_initializer(self._attach)

    def _attach(self, session: Session) -> None:
        session.register("before-parameter-build", self._heard)

    def _heard(self, **heard: Any) -> None:
        if not heard["context"].get("is_presign_request"):
            model = heard["model"]
            self._note(f"{model.service_model.service_name}:{model.name}", _targets(heard["params"]))

    def _listen_to(self, patch: pytest.MonkeyPatch, method: str, operation: str) -> None:
        sign = getattr(S3Storage, method)

        def signed(storage: S3Storage, key: str, **options: object) -> object:
            if "/" in key:  # or nobody will have such an object, and what is wanted is the address
                self._note(operation, [key])
            return sign(storage, key, **options)

        patch.setattr(S3Storage, method, signed)

    def _note(self, operation: str, targets: list[str]) -> None:
        callers = _callers()
        masked = {_ATTEMPT.sub("N", _ID.sub("ID", target)) for target in targets}
        with self._lock:
            self.calls |= {AwsCall(caller, operation, target) for caller in callers for target in masked}


def _callers() -> set[str]:
    stack = [f"{f.f_globals.get('__name__')}.{f.f_code.co_qualname}" for f, _ in traceback.walk_stack(None)]
    for function in reversed(stack):
        for name, callers in _CALLERS.items():
            if f"{function}.".startswith(f"{name}."):
                return callers
    return set()


def _targets(params: dict[str, Any]) -> list[str]:
    """Return what the call is about, each thing that a right can be limited to."""
    if "CopySource" in params:
        _, _, source = params["CopySource"].partition("/")  # after the bucket's name
        return [f"{source} > {params['Key']}"]
    if "Delete" in params:
        return [item["Key"] for item in params["Delete"]["Objects"]]
    if queue := params.get("QueueUrl") or params.get("QueueName"):
        return [DEAD_LETTERS if str(queue).endswith("-dead") else JOBS]
    for name in ("Key", "AutoScalingGroupName", "SecretId", "Name"):
        if name in params:
            return [str(params[name])]
    return [""]
