"""Runs a command on an instance through Systems Manager's Run Command: no plugin, no tunnel, no open port.

What it prints comes back compressed, because Systems Manager keeps 24,000 characters of it:
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html
"""

import base64
import gzip
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.account import Account
from ops.dependencies import CommandFailed

PROGRAM = "/opt/anb/venv/bin/ops"  # of the services' artefacts
LOOK_EVERY_SECONDS = 1
DELIVERED_WITHIN_SECONDS = 60
LONGEST_SECONDS = 3600
_UNDER_WAY = {"Pending", "InProgress", "Delayed", "Cancelling"}
_NO_SUCH_PROGRAM = 127  # what a shell answers


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command printed, and with which exit code it ended."""

    printed: str
    complaints: str
    code: int


def run(account: Account, instances: Iterable[str], arguments: Sequence[str]) -> Result:
    """Run `ops` with these arguments on one of the instances that answer Systems Manager, and wait for its end.

    Raises CommandFailed where none answers, or the command was not run to its end.
    """
    ssm, instance = account.client("ssm"), _reachable(account, list(instances))
    script = f"{shlex.join([PROGRAM, *arguments])} | gzip --no-name | base64 --wrap=0"
    sent = ssm.send_command(
        InstanceIds=[instance],
        DocumentName="AWS-RunShellScript",
        TimeoutSeconds=DELIVERED_WITHIN_SECONDS,
        Parameters={
            "commands": [f"exec bash -c {shlex.quote(f'set -o pipefail; {script}')}"],
            "executionTimeout": [str(LONGEST_SECONDS)],
        },
    )
    ended = _wait(ssm, command=sent["Command"]["CommandId"], instance=instance)
    if ended["ResponseCode"] < 0:
        raise CommandFailed(f"Systems Manager did not run the command on {instance}: {ended['StatusDetails']}")
    if ended["ResponseCode"] == _NO_SUCH_PROGRAM:
        raise CommandFailed(f"{instance} runs a release without {PROGRAM}: make deploy brings it")
    try:
        printed = gzip.decompress(base64.b64decode(ended["StandardOutputContent"])).decode()
    except (ValueError, EOFError):
        raise CommandFailed("the command printed more than Systems Manager keeps: ask for less") from None
    return Result(printed=printed, complaints=ended["StandardErrorContent"], code=ended["ResponseCode"])


def _reachable(account: Account, instances: Sequence[str]) -> str:
    known = (
        {it["InstanceId"] for it in _answering(account, instances) if it["PingStatus"] == "Online"}
        if instances
        else ()
    )
    for instance in instances:
        if instance in known:
            return instance
    raise CommandFailed(
        "no instance answers Systems Manager: start the fleets (python -m ops resume), or wait until one has booted"
    )


def _answering(account: Account, instances: Sequence[str]) -> Iterable[dict[str, Any]]:
    pages = account.client("ssm").get_paginator("describe_instance_information")
    for page in pages.paginate(Filters=[{"Key": "InstanceIds", "Values": list(instances)}]):
        yield from page["InstanceInformationList"]


def _wait(ssm: Any, *, command: str, instance: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + DELIVERED_WITHIN_SECONDS + LONGEST_SECONDS
    while time.monotonic() < give_up_at:
        try:
            found: dict[str, Any] = ssm.get_command_invocation(CommandId=command, InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:  # not yet
            found = {"Status": "Pending"}
        if found["Status"] not in _UNDER_WAY:
            return found
        time.sleep(LOOK_EVERY_SECONDS)
    raise CommandFailed(f"command {command} on {instance} has not ended within {LONGEST_SECONDS} s")
