"""What CloudFormation has of ours: in which state, made of what, and kept or not when it goes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from deploy.account import Account
from deploy.errors import CannotDeploy


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that a stack has made."""

    stack: str
    name: str
    """What its template calls it."""
    type: str
    id: str
    policy: str
    """What becomes of it when the stack goes: Delete, Snapshot, Retain or RetainExceptOnCreate."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack that exists, in whatever state."""

    name: str
    status: str
    reason: str
    is_protected: bool
    created_at: datetime
    outputs: dict[str, str]

    @property
    def is_busy(self) -> bool:
        """Whether CloudFormation is at it; a change set that was never executed gives way to the next deployment."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


def existing(account: Account, names: Sequence[str]) -> list[Stack]:
    """Return the stacks of these names that exist, in the order of the names."""
    return [stack for name in names if (stack := find(account, name))]


def find(account: Account, name: str) -> Stack | None:
    """Return a stack by its name, or nothing."""
    try:
        found = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # CloudFormation's word for: there is none
            return None
        raise
    if found["StackStatus"] == "DELETE_COMPLETE":
        return None
    return Stack(
        name=name,
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        is_protected=found.get("EnableTerminationProtection", False),
        created_at=found["CreationTime"],
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())},
    )


def check_deployable(stacks: Sequence[Stack]) -> list[str]:
    """Raise CannotDeploy for a stack that no deployment can mend; return what is worth knowing about the others."""
    notes = []
    for stack in stacks:
        name, status = stack.name, stack.status
        because = f" ({stack.reason.rstrip('.')})" if stack.reason else ""
        if status == "DELETE_FAILED":
            raise CannotDeploy(f"{name} is half deleted{because}: run make destroy again, then deploy.")
        if status == "UPDATE_ROLLBACK_FAILED":
            raise CannotDeploy(
                f"{name} is stuck between two versions{because}: run "
                f"aws cloudformation continue-update-rollback --stack-name {name}, wait for it, then deploy."
            )
        check_idle([stack])
        if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
            notes.append(
                f"{name} could not be made last time ({status}): what is left of it is deleted and made anew; "
                "the first CREATE_FAILED among its events says why it failed."
            )
    return notes


def check_deletable(stacks: Sequence[Stack]) -> None:
    """Raise CannotDeploy for stacks that are protected or busy."""
    protected = [stack.name for stack in stacks if stack.is_protected]
    if protected:
        raise CannotDeploy(
            f"{' and '.join(protected)} hold data and are protected: to destroy them all the same, first run "
            "aws cloudformation update-termination-protection --no-enable-termination-protection "
            "--stack-name NAME for each (the database and the load balancer have a protection of their own)."
        )
    check_idle(stacks)


def check_idle(stacks: Sequence[Stack]) -> None:
    """Raise CannotDeploy for the first stack that somebody is changing."""
    for stack in stacks:
        if stack.is_busy:
            raise CannotDeploy(
                f"{stack.name} is being changed right now ({stack.status}): "
                "wait for it to finish, then run this again."
            )


def resources(account: Account, stack: str) -> Iterator[Resource]:
    """Yield what a stack has made and still has, with what its own template says about keeping it."""
    client, template = account.client("cloudformation"), template_of(account, stack)
    for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
        for found in page["StackResourceSummaries"]:
            if found["ResourceStatus"] == "DELETE_COMPLETE" or not found.get("PhysicalResourceId"):
                continue
            name, id_ = found["LogicalResourceId"], found["PhysicalResourceId"]
            policy = template["Resources"].get(name, {}).get("DeletionPolicy", "Delete")
            yield Resource(stack=stack, name=name, type=found["ResourceType"], id=id_, policy=policy)


def template_of(account: Account, stack: str) -> dict[str, Any]:
    """Return the template that a stack was last given."""
    body = account.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    template: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
    return template


def delete(account: Account, names: Sequence[str]) -> None:
    """Delete stacks that do not need each other, at the same time; raise CannotDeploy when one stays."""
    client = account.client("cloudformation")
    for name in names:
        client.delete_stack(StackName=name)
    for name in names:
        try:
            client.get_waiter("stack_delete_complete").wait(
                StackName=name,
                WaiterConfig={"Delay": 2, "MaxAttempts": 1800},  # an hour: a database takes 10 minutes
            )
        except WaiterError:
            raise CannotDeploy(_why_it_stays(account, name)) from None


def _why_it_stays(account: Account, name: str) -> str:
    stack = find(account, name)
    status = f"{stack.status}: {stack.reason.rstrip('.')}" if stack else "no longer known"
    return f"{name} was not deleted ({status}): remove what is named there, then run this again."
